"""What a query's text gives away about the signal: whether it is a load, and whether its rates will hold.

A forecast of the load is an answer to "how many replicas"; a metric that itself depends on how many replicas there are
(an average over pods, a utilisation, memory) turns that into a feedback loop: more replicas lower it, which asks for
fewer. Nothing but the text is looked at, so this is a guess in both directions, and only ever a warning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from scaler.kinds import Unreadable, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["RateWindow", "rate_windows", "replica_dependent", "signal_warning"]

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
      | (?P<range>\[[^\]]*\])
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
_RANGE = re.compile(r"\[\s*(?P<window>[0-9][0-9a-z.]*)\s*(?P<subquery>:.*)?\]", re.DOTALL)
_ONE_REPLICA = frozenset({"pod", "pod_name", "instance", "container_id", "replica"})  # labels with a value per replica
_AVERAGING = frozenset({"avg", "stddev", "stdvar", "quantile"})
_RATES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv"})
_DURATION = duration()

_UTILISATION = re.compile(r"utili[sz]ation|saturation|_percent(?:age)?\b|_ratio\b")
_MEMORY = re.compile(r"container_memory_|process_resident_memory|process_virtual_memory|jvm_memory|go_memstats")
_REPLICAS = re.compile(r"kube_\w*replicas\w*|kube_pod_\w+|kube_horizontalpodautoscaler_\w+|keda_scaler_\w+")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RateWindow:
    """A rate over the raw samples of one selector.

    Attributes:
        function: `rate`, `increase` and the like.
        selector: The metric selector, as it stands in the query.
        seconds: The range's length.
    """

    function: str
    selector: str
    seconds: float


def replica_dependent(query: str) -> tuple[str, ...]:
    """Why the query's value seems to depend on the number of replicas, each reason in words; () if it doesn't seem so.

    Args:
        query: PromQL, or the selector of an exposition source.
    """
    tokens = _tokens(query)
    names = [token.text for token in tokens if token.kind == "name"]
    return tuple(dict.fromkeys([*_averages(tokens), *_divisions(tokens), *_of_metrics(names), *_one_replica(tokens)]))


def signal_warning(query: str) -> str:
    """The reasons of `replica_dependent` in one sentence, with what would be right; "" if there are none."""
    reasons = replica_dependent(query)
    if not reasons:
        return ""
    return (
        f"the query seems to depend on the number of replicas, which makes a feedback loop: {'; '.join(reasons)}. "
        "Give the total load, such as sum(rate(http_requests_total[2m]))"
    )


def rate_windows(query: str) -> tuple[RateWindow, ...]:
    """The rates that are taken over raw samples: one over less than two scrapes is often empty."""
    tokens = _tokens(query)
    return tuple(
        found for n, token in enumerate(tokens) if token.kind == "range" if (found := _window(query, tokens, n))
    )


def _tokens(query: str) -> list[_Token]:
    return [
        _Token(match.lastgroup or "", match[0], match.start(), match.end())
        for match in _TOKEN.finditer(query)
        if match.lastgroup != "comment"
    ]


def _averages(tokens: Sequence[_Token]) -> Iterable[str]:
    for token, after in pairwise(tokens):
        name = token.text.lower()
        if token.kind == "name" and name in _AVERAGING and after.text.lower() in {"(", "by", "without"}:
            yield f"{name}(...) is about one replica among many, not about the total"
    if any(token.kind == "name" and token.text == "histogram_quantile" for token in tokens):
        yield "histogram_quantile(...) gives a time or a size of single requests, which falls with more replicas"


def _divisions(tokens: Sequence[_Token]) -> Iterable[str]:
    """A division by a number of replicas or of what they are given."""
    for n, token in enumerate(tokens):
        if token.text != "/":
            continue
        divisor = _operand(tokens, n + 1)
        names = [each.text for each in divisor if each.kind == "name"]
        counted = next((name for name in names if name.lower() in {"count", "group"} or _REPLICAS.fullmatch(name)), "")
        if counted:
            yield f"it divides by {counted}: a value for each replica, not the total"


def _operand(tokens: Sequence[_Token], start: int) -> Sequence[_Token]:
    """The tokens from there to the end of the operand: to a bracket that closes, or an operator at its own depth."""
    depth = 0
    for n in range(start, len(tokens)):
        text = tokens[n].text
        depth += (text in {"(", "{"}) - (text in {")", "}"})
        if depth < 0 or (depth == 0 and n > start and text in {"+", "-", "*", "/", "%", "^", ">", "<"}):
            return tokens[start:n]
    return tokens[start:]


def _of_metrics(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        if _UTILISATION.search(name):
            yield f"{name} is a share of what there is, which falls with more replicas"
        elif _MEMORY.search(name):
            yield f"{name} grows with every replica, whatever the load"
        elif _REPLICAS.fullmatch(name) and name.startswith("kube_") and "replicas" in name:
            yield f"{name} counts the replicas themselves"


def _one_replica(tokens: Sequence[_Token]) -> Iterable[str]:
    """A selector that names one replica: `pod="web-5d4f"`."""
    for label, sign, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if label.kind == "name" and label.text in _ONE_REPLICA and sign.text == "=" and value.kind == "string":
            yield f"{label.text}={value.text} is one replica of many"


def _window(query: str, tokens: Sequence[_Token], n: int) -> RateWindow | None:
    """The rate that the range at place n belongs to, if it is one over raw samples."""
    match = _RANGE.fullmatch(tokens[n].text)
    if match is None or match["subquery"] is not None or n < 2:
        return None
    first = n - 1
    if tokens[first].text == "}":
        while first > 0 and tokens[first].text != "{":
            first -= 1
        if first > 0 and tokens[first - 1].kind == "name":
            first -= 1
    if first < 2 or tokens[first - 1].text != "(" or tokens[first - 2].text not in _RATES:
        return None
    try:
        seconds = _DURATION.parse(match["window"])
    except Unreadable:
        return None
    selector = query[tokens[first].start : tokens[n - 1].end]
    return RateWindow(tokens[first - 2].text, selector, seconds)
