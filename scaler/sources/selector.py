"""The query language of the exposition source: PromQL's metric selector, `name{label="x",other=~"a.*|b"}`.

Tenants write the patterns and targets the label values, so a pattern must not be able to burn the engine's time.
Python's `re` backtracks without bound where Prometheus's RE2 does not; hence a pattern may hold letters and digits,
escaped signs, `.`, character classes such as `[0-9]`, the wildcards `.*` and `.+`, and `|` between alternatives: what
label patterns are made of. Each wildcard becomes an atomic group that takes the nearest match and never gives it
back, which is complete here (what stands between wildcards has a fixed length) and linear in the value's length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.errors import QueryRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Selector", "parse_selector"]

_NAME = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*")
_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*"""
)
_UNIT = re.compile(
    r"\.[*+]|\\[dws]|\\[^a-zA-Z0-9]|\[\^?\]?(?:\\.|[^\]\\\[&~|])+\]|\.|\||[a-zA-Z0-9_\-/:=@%&,;~<>!\"'` #]"
)
_CLOSING = re.compile(r"\s*\}\s*")
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_LONGEST = 1024  # characters of a selector


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a missing label counts as "", as in PromQL."""

    label: str
    operator: str
    value: str
    pattern: re.Pattern[str] | None = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the label set fulfils the condition."""
        found = labels.get(self.label, "")
        same = found == self.value if self.pattern is None else self.pattern.fullmatch(found) is not None
        return same != self.operator.startswith("!")


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric's name and conditions on its labels."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the label set fulfils every condition."""
        return all(matcher.matches(labels) for matcher in self.matchers)


def parse_selector(query: str) -> Selector:
    """Reads a selector.

    Raises:
        QueryRejected: Where the text stops being one, and what would be right.
    """
    if len(query) > _LONGEST:
        raise QueryRejected(f"the query is {len(query)} characters long; a metric selector may have {_LONGEST}")
    match = _NAME.match(query)
    if match is None:
        raise _rejected(query, "it does not begin with a metric's name")
    name, at = match[1], match.end()
    if at == len(query):
        return Selector(name)
    if query[at] != "{":
        raise _rejected(query, f"{query[at:][:20]!r} follows the metric's name")
    matchers: list[Matcher] = []
    at += 1
    while not (closing := _CLOSING.match(query, at)):
        match = _MATCHER.match(query, at)
        if match is None:
            raise _rejected(query, f"{query[at:][:20]!r} is no condition on a label")
        matchers.append(_matcher(query, match[1], match[2], match[3] if match[3] is not None else match[4]))
        at = match.end()
        if query[at : at + 1] == ",":
            at += 1
        elif query[at : at + 1] != "}":
            raise _rejected(query, "a comma or a closing brace is missing")
    if closing.end() != len(query):
        raise _rejected(query, f"{query[closing.end() :][:20]!r} follows the closing brace")
    return Selector(name, tuple(matchers))


def _matcher(query: str, label: str, operator: str, quoted: str) -> Matcher:
    value = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), quoted)
    if operator.endswith("~"):
        return Matcher(label, operator, value, _linear(query, value))
    return Matcher(label, operator, value)


def _linear(query: str, pattern: str) -> re.Pattern[str]:
    """The pattern in a form that `re` matches without backtracking beyond one wildcard."""
    alternatives: list[list[str]] = [[]]  # of units: fixed ones and the two wildcards
    at = 0
    while at < len(pattern):
        unit = _UNIT.match(pattern, at)
        if unit is None or "--" in unit[0]:
            raise _rejected(
                query,
                f"the pattern {pattern!r} holds {pattern[at]!r}, which is not supported here: use letters, digits, "
                "escaped signs, ., [...], .*, .+ and |",
            )
        if unit[0] == "|":
            alternatives.append([])
        else:
            alternatives[-1].append(unit[0])
        at = unit.end()
    try:
        return re.compile("|".join(_atomic(units) for units in alternatives), re.DOTALL | re.ASCII)
    except re.error as error:
        raise _rejected(query, f"the pattern {pattern!r} cannot be read: {error}") from error


def _atomic(units: list[str]) -> str:
    pieces: list[list[str]] = [[]]  # of fixed units, with a wildcard between each two
    least: list[str] = []  # what each wildcard takes at the least: "" or one character
    for unit in units:
        if unit in {".*", ".+"}:
            pieces.append([])
            least.append("." if unit == ".+" else "")
        else:
            pieces[-1].append(unit)
    first, *rest = ("".join(piece) for piece in pieces)
    if not rest:
        return first
    *inner, last = zip(least, rest, strict=True)
    middle = "".join(f"(?>{some}.*?{piece})" for some, piece in inner)
    return f"{first}{middle}{last[0]}.*{last[1]}"


def _rejected(query: str, problem: str) -> QueryRejected:
    shown = query if len(query) <= 120 else query[:119] + "…"
    return QueryRejected(
        f"query {shown!r} is no metric selector: {problem}; write for example "
        'http_requests_total{job="shop",code=~"2.."}. An exposition source answers selectors only, '
        "for PromQL use a Prometheus"
    )
