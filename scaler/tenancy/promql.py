r"""Label matchers that a tenant cannot get around: put into every selector of a parsed query.

The query that is sent is written anew from what the parser has understood, by this module and not by the parser's own
printer, which leaves the quotes within strings as they are: `{a="x\"} or secret{b=\"y"}` would come out as two
selectors. So a comment, a quote or a line end that Prometheus would read otherwise is never sent.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import promql_parser as pql

from scaler.errors import InvalidTrigger, TenantRefused
from scaler.kinds import quoted
from scaler.promql import LONGEST_QUERY, MOST_OPERATORS, NotPromQL, TooLong, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

__all__ = ["enforce"]

_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PLAIN_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LITERALS = re.compile(r"[\w:/ |-]*")  # a pattern that is nothing but alternatives
_SIGNS = ((pql.MatchOp.Equal, "="), (pql.MatchOp.NotEqual, "!="), (pql.MatchOp.Re, "=~"), (pql.MatchOp.NotRe, "!~"))
_REMEMBERED = 4096  # queries

_Matchers: TypeAlias = "tuple[tuple[str, str], ...]"


@functools.lru_cache(maxsize=_REMEMBERED)
def enforce(query: str, required: _Matchers) -> str:
    """The query with `label="value"` in each of its selectors.

    Args:
        query: PromQL, or a metric selector.
        required: (label, value) pairs; without any, the query stays as it is.

    Raises:
        InvalidTrigger: It cannot be read as PromQL, or holds what cannot be bound.
        TenantRefused: It asks for another value of a required label.
    """
    if not required:
        return query
    return _Writer(query, required).expression(_parsed(query))


def _parsed(query: str) -> pql.Expr:
    try:
        return parse(query)
    except TooLong as error:
        text = (
            f"query has {error}: here, where the server puts matchers into it, {LONGEST_QUERY} and {MOST_OPERATORS} "
            "are the most"
        )
    except NotPromQL as error:
        text = (
            f"query is {quoted(query)}: it cannot be read as PromQL ({error}), and what cannot be read is not sent on "
            "behalf of a namespace that may read a part of the source only"
        )
    raise InvalidTrigger([text])


class _Writer:
    """Writes a query with the matchers in it; operands in brackets, so that no precedence matters."""

    def __init__(self, query: str, required: _Matchers) -> None:
        self._query = query
        self._required = required

    def expression(self, node: object) -> str:
        write = _WRITERS.get(type(node))
        if write is None:
            raise self._unknown(type(node).__name__)
        return write(self, node)

    def number(self, node: pql.NumberLiteral) -> str:
        return {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}.get(text := repr(float(node.val)), text.removesuffix(".0"))

    def string(self, node: pql.StringLiteral) -> str:
        return _string(node.val)

    def parens(self, node: pql.ParenExpr) -> str:
        return f"({self.expression(node.expr)})"

    def _operand(self, node: object) -> str:
        text = self.expression(node)
        return text if isinstance(node, pql.ParenExpr) else f"({text})"

    def negated(self, node: pql.UnaryExpr) -> str:
        return f"-{self._operand(node.expr)}"

    def binary(self, node: pql.BinaryExpr) -> str:
        matching = "" if node.modifier is None else self._matching(node.modifier)
        return f"{self._operand(node.lhs)} {node.op}{matching} {self._operand(node.rhs)}"

    def _matching(self, modifier: pql.BinModifier) -> str:
        if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
            raise self._unknown("fill")
        text = " bool" if modifier.return_bool else ""
        if modifier.matching is not None:
            on = modifier.matching.type == pql.LabelModifierType.Include
            text += f" {'on' if on else 'ignoring'} ({_labels(modifier.matching.labels)})"
        many = pql.VectorMatchCardinality
        side = {modifier.card == many.ManyToOne: "left", modifier.card == many.OneToMany: "right"}.get(True)
        return text + (f" group_{side} ({_labels(modifier.group_labels or [])})" if side else "")

    def aggregate(self, node: pql.AggregateExpr) -> str:
        grouping = ""
        if node.modifier is not None:
            by = node.modifier.type == pql.AggModifierType.By
            grouping = f" {'by' if by else 'without'} ({_labels(node.modifier.labels)}) "
        parameter = "" if node.param is None else f"{self.expression(node.param)}, "
        return f"{node.op}{grouping}({parameter}{self.expression(node.expr)})"

    def call(self, node: pql.Call) -> str:
        if node.func.name == "info":
            raise self._unknown("info")  # reads series that stand nowhere in the query
        return f"{node.func.name}({', '.join(self.expression(argument) for argument in node.args)})"

    def subquery(self, node: pql.SubqueryExpr) -> str:
        if node.range is None or node.at is not None:
            raise self._unknown("@" if node.at is not None else "subquery")
        step = "" if node.step is None else self._span(node.step)
        return f"{self._operand(node.expr)}[{self._span(node.range)}:{step}]{_offset(node.offset)}"

    def matrix(self, node: pql.MatrixSelector) -> str:
        selector = node.vector_selector
        return f"{self._selector(selector)}[{self._span(node.range)}]{_offset(selector.offset)}"

    def _span(self, value: timedelta) -> str:
        """A range or a step: the parser takes 0 without a unit, which no server does."""
        if round(value.total_seconds() * 1000) < 1:
            text = f"query is {quoted(self._query)}: a range or step in it is 0, and must be 1ms or more"
            raise InvalidTrigger([text])
        return _duration(value)

    def vector(self, node: pql.VectorSelector) -> str:
        return f"{self._selector(node)}{_offset(node.offset)}"

    def _selector(self, node: pql.VectorSelector) -> str:
        if node.at is not None or node.matchers.or_matchers:
            raise self._unknown("@" if node.at is not None else "or within braces")
        name = node.name or ""
        conditions = [] if _PLAIN_METRIC.fullmatch(name) or not name else [f"__name__={_string(name)}"]
        given = [(matcher.name, _sign(matcher.op), matcher.value) for matcher in node.matchers.matchers]
        given += [(label, "=", value) for label, value in self._required if (label, "=", value) not in given]
        for label, value in self._required:
            self._check(given, label, value)
        conditions += [f"{_label(label)}{sign}{_string(value)}" for label, sign, value in given]
        return f"{'' if conditions and conditions[0].startswith('__name__=') else name}{{{','.join(conditions)}}}"

    def _check(self, given: list[tuple[str, str, str]], label: str, value: str) -> None:
        """Tells of a selector that can never match; of the patterns, only of those that are lists of values."""
        for name, sign, wanted in given:
            listed = sign in {"=", "!="} or _LITERALS.fullmatch(wanted)
            values = [wanted] if sign in {"=", "!="} else wanted.split("|")
            if name == label and listed and (value in values) == sign.startswith("!"):
                raise TenantRefused(
                    f"query asks for {label}{sign}{quoted(wanted)}, but this namespace may read "
                    f"{label}={quoted(value)} only: leave that matcher out, the server puts its own into every selector"
                )

    def _unknown(self, what: str) -> InvalidTrigger:
        text = (
            f"query is {quoted(self._query)}: it uses {what!r}, which cannot be bound to what this namespace may read"
        )
        return InvalidTrigger([f"{text}; write it without"])


_WRITERS = cast(
    "dict[type, Callable[[_Writer, Any], str]]",
    {
        pql.NumberLiteral: _Writer.number,
        pql.StringLiteral: _Writer.string,
        pql.ParenExpr: _Writer.parens,
        pql.UnaryExpr: _Writer.negated,
        pql.BinaryExpr: _Writer.binary,
        pql.AggregateExpr: _Writer.aggregate,
        pql.Call: _Writer.call,
        pql.SubqueryExpr: _Writer.subquery,
        pql.MatrixSelector: _Writer.matrix,
        pql.VectorSelector: _Writer.vector,
    },
)


def _sign(operator: pql.MatchOp) -> str:
    return next(sign for known, sign in _SIGNS if known == operator)


def _labels(names: list[str]) -> str:
    return ", ".join(map(_label, names))


def _label(name: str) -> str:
    """As it is, or in the quotes that Prometheus 3 has for names in UTF-8."""
    return name if _PLAIN_LABEL.fullmatch(name) else _string(name)


def _string(value: str) -> str:
    return '"' + "".join(_character(c) for c in value) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _duration(span: timedelta) -> str:
    """In milliseconds, the finest unit that Prometheus has."""
    return f"{round(span.total_seconds() * 1000)}ms"


def _offset(span: timedelta | None) -> str:
    """None of 0: it means nothing, and servers refuse the duration 0ms."""
    text = "0ms" if span is None else _duration(span)
    return "" if text == "0ms" else f" offset {text}"
