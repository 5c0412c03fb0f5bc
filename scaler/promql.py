"""PromQL as its grammar has it, by a parser that must not be given just anything.

The parser takes time by the square of the nesting (37 s for 8,000 brackets), recurses without a bound until the process
dies (16,000 signs), and panics past `Exception`. Tenants write the queries, so they are bounded before it sees them.
"""

from __future__ import annotations

import re

import promql_parser

__all__ = ["LONGEST_QUERY", "MOST_OPERATORS", "NotPromQL", "TooLong", "operators", "parse"]

LONGEST_QUERY = 4096
"""Characters of a query that is parsed."""

MOST_OPERATORS = 256
"""Brackets, operators and signs in it, counted generously: those within strings, too. They take 50 ms at most."""

_OPERATOR = re.compile(r"[(\[{+\-*/%^<>=!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_PANIC = "PanicException"  # a BaseException of the parser's language; no module exports it

# Prometheus 2 has it, Prometheus 3 calls it double_exponential_smoothing: the parser knows the latter only.
promql_parser.register_extra_functions(
    [
        promql_parser.Function(
            "holt_winters",
            [promql_parser.ValueType.Matrix, promql_parser.ValueType.Scalar, promql_parser.ValueType.Scalar],
            promql_parser.ValueType.Vector,
        )
    ]
)


class NotPromQL(ValueError):
    """The text is no PromQL that the parser knows; its own words are the error's."""


class TooLong(NotPromQL):
    """The text is too long, or has too many operators, to be parsed."""


def operators(query: str) -> int:
    """How many brackets, operators and signs the query has at most."""
    return len(_OPERATOR.findall(query))


def parse(query: str) -> promql_parser.Expr:
    """Parses a query.

    Raises:
        NotPromQL: It cannot be parsed.
        TooLong: It is not looked at.
    """
    if len(query) > LONGEST_QUERY or operators(query) > MOST_OPERATORS:
        raise TooLong(f"{len(query)} characters and {operators(query)} operators and brackets")
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise NotPromQL(" ".join(str(error).split())[:200]) from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise NotPromQL("the parser gave up") from None
