"""Kinds of values that people write: how to read one, what to say when it can't be, and words for the docs.

Used for trigger metadata and settings alike, through `scaler.parameters`. A kind is a value, not a class:
`number(minimum=1)` and `duration(maximum=HOUR)` make one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "BOOLEAN",
    "DAY",
    "HOUR",
    "MINUTE",
    "WEEK",
    "Kind",
    "Unreadable",
    "choice",
    "choices",
    "duration",
    "integer",
    "listed",
    "matching",
    "number",
    "pairs",
    "quoted",
    "show_duration",
    "show_number",
    "text",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

_SHOWN = 80  # characters of a value that an error text repeats: gRPC carries it in a trailer of a few KiB
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_UNITS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK, "y": 365 * DAY}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdwy])")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # controls except tab and line ends; surrogates
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})  # what Go's strconv.ParseBool takes, as KEDA does
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Unreadable(ValueError):
    """A text is not of the kind.

    Attributes:
        reason: Why, in words.
        show: The text may be repeated beside the reason; False where it could hold a credential.
        echoes: The reason itself repeats a part of the text.
    """

    def __init__(self, reason: str, *, show: bool = True, echoes: bool = False) -> None:
        self.reason = reason
        self.show = show
        self.echoes = echoes
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T_co]):
    """One kind of value.

    Attributes:
        says: What the value is, in words that complete "it must be ...".
        parse: Reads a text without surrounding white space; raises Unreadable.
        show: The value as one would write it, for the docs.
        of: Reads what a settings file may hold instead of a text (a list, a table); None: neither.
    """

    says: str
    parse: Callable[[str], T_co]
    show: Callable[[Any], str] = str
    of: Callable[[object], T_co] | None = None


def quoted(value: str) -> str:
    """The text in quotes on one line, shortened, with everything unprintable escaped."""
    short = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _escaped(c) for c in short) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character.encode("unicode_escape").decode("ascii")


def show_number(value: float) -> str:
    """The number without a needless fraction: 2.0 is 2."""
    return format(value, ".15g")


def show_duration(seconds: float) -> str:
    """The duration as one would write it: 5400.0 is 1h30m, 2.5 is 2.5s, 0.1 is 100ms."""
    if 0 < seconds < 1:
        return f"{show_number(seconds * 1000)}ms"
    parts, rest = "", seconds
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        parts += f"{count:.0f}{unit}" if count else ""
    return parts + f"{show_number(rest)}s" if rest or not parts else parts


def listed(items: Iterable[str], last: str) -> str:
    """`a, b or c`, with this word before the last."""
    *head, tail = items
    return f"{', '.join(head)} {last} {tail}" if head else tail


def _span(low: str | None, high: str | None) -> str:
    """The words for a range, with a leading space."""
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def number(*, minimum: float | None = None, maximum: float | None = None) -> Kind[float]:
    """A finite number within closed bounds."""
    low = None if minimum is None else show_number(minimum)
    says = "a number" + _span(low, None if maximum is None else show_number(maximum))

    def parse(value: str) -> float:
        if _NUMBER.fullmatch(value):
            result = float(value)
            if math.isfinite(result) and _within(result, minimum, maximum):
                return result + 0.0  # -0.0 becomes 0.0
        raise Unreadable(f"it must be {says}")

    return Kind(says=says, parse=parse, show=show_number)


def integer(*, minimum: int, maximum: int) -> Kind[int]:
    """A whole number within closed bounds."""
    says = "a whole number" + _span(str(minimum), str(maximum))

    def parse(value: str) -> int:
        if _INTEGER.fullmatch(value) and minimum <= int(value) <= maximum:
            return int(value)
        raise Unreadable(f"it must be {says}")

    return Kind(says=says, parse=parse)


def _parse_boolean(value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise Unreadable("it must be true or false")


BOOLEAN: Kind[bool] = Kind(says="true or false", parse=_parse_boolean, show=lambda value: str(value).lower())


def duration(*, minimum: float = 0.0, maximum: float | None = None, bare: float | None = None) -> Kind[float]:
    """A duration in seconds, written as Prometheus and Go do: `90s`, `5m`, `1h30m`, `7d`.

    Args:
        minimum: Seconds.
        maximum: Seconds.
        bare: How many seconds a number without a unit counts: 1, 0.001, or None to refuse it.
    """
    high = None if maximum is None else show_duration(maximum)
    says = "a duration" + _span(show_duration(minimum) if minimum else None, high)
    if bare == 0.001:
        says += " (a bare number counts milliseconds)"

    def parse(value: str) -> float:
        if _DURATION.fullmatch(value):
            seconds = math.fsum(float(n) * _UNITS[unit] for n, unit in _DURATION_PART.findall(value))
        elif _NUMBER.fullmatch(value) and bare is not None:
            seconds = float(value) * bare
        elif _NUMBER.fullmatch(value):
            raise Unreadable(f"it has no unit; it must be {says}, such as 90s, 5m, 1h30m or 7d")
        else:
            raise Unreadable(f"it must be {says}, such as 90s, 5m, 1h30m or 7d")
        if not (math.isfinite(seconds) and _within(seconds, minimum, maximum)):
            raise Unreadable(f"it must be {says}")
        return seconds

    return Kind(says=says, parse=parse, show=show_duration)


def choice(*options: str) -> Kind[str]:
    """One of a few words."""
    says = listed(options, "or")

    def parse(value: str) -> str:
        if value in options:
            return value
        raise Unreadable(f"it must be {says}")

    return Kind(says=says, parse=parse)


def _strings(value: object) -> Sequence[str] | None:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def choices(*options: str) -> Kind[tuple[str, ...]]:
    """Some of a few words, separated by commas; each counts once, in the order given."""
    supported = listed(options, "and")
    says = f"a list of {supported}, separated by commas"

    def collect(items: Iterable[str]) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(filter(None, (item.strip() for item in items))))
        for item in found:
            if item not in options:
                raise Unreadable(f"{quoted(item)} is not supported; supported are {supported}", echoes=True)
        return found

    def of(value: object) -> tuple[str, ...]:
        items = _strings(value)
        if items is None:
            raise Unreadable(f"it must be a list of {supported}")
        return collect(items)

    return Kind(says=says, parse=lambda value: collect(value.split(",")), show=",".join, of=of)


def text(*, says: str = "a text", maximum: int = 1024, lines: bool = False) -> Kind[str]:
    """A text without control characters; with `lines`, tabs and line ends are no such.

    Args:
        says: What it is, in words.
        maximum: The most characters.
        lines: Several lines are fine.
    """

    def parse(value: str) -> str:
        if len(value) > maximum:
            raise Unreadable(f"it has {len(value)} characters; at most {maximum} are accepted")
        if _UNSAFE.search(value) or not (lines or value.isprintable()):
            raise Unreadable("it holds a control character")
        return value

    return Kind(says=says, parse=parse)


def matching(pattern: str, says: str, *, show: bool = True) -> Kind[str]:
    """A text that fits a regular expression from end to end.

    Args:
        pattern: The expression; it bounds the length too.
        says: What it is, in words.
        show: Whether an error may repeat the value.
    """
    compiled = re.compile(pattern)

    def parse(value: str) -> str:
        if compiled.fullmatch(value):
            return value
        raise Unreadable(f"it must be {says}", show=show)

    return Kind(says=says, parse=parse)


def pairs(
    *, check: Callable[[str, str], str | None], same: Callable[[str], str] = str
) -> Kind[tuple[tuple[str, str], ...]]:
    """Names with values: `name=value,name=value` as KEDA writes them; a value may hold `=` but no comma.

    Values are never shown: they may be credentials.

    Args:
        check: Called with name and value; gives what is wrong, without the value, or None.
        same: Two names with the same result are duplicates.
    """
    says = "a list such as name=value,name2=value2"

    def collect(items: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        found: dict[str, tuple[str, str]] = {}
        for name, value in items:
            problem = check(name, value)
            if problem is None and same(name) in found:
                problem = f"{quoted(name)} is given twice"
            if problem is not None:
                raise Unreadable(problem, show=False, echoes=True)
            found[same(name)] = (name, value)
        return tuple(sorted(found.values()))

    def parse(value: str) -> tuple[tuple[str, str], ...]:
        items = []
        for n, item in enumerate(filter(None, (part.strip() for part in value.split(","))), 1):
            name, equals, content = item.partition("=")
            if not equals:
                raise Unreadable(f"item {n} has no '='; it must be {says}", show=False)
            items.append((name.strip(), content.strip()))
        return collect(items)

    def of(value: object) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict) or not all(isinstance(content, str) for content in value.values()):
            raise Unreadable('it must be a table of texts such as { name = "value" }', show=False)
        return collect(value.items())

    return Kind(
        says=says,
        parse=parse,
        show=lambda value: ",".join(f"{name}={content}" for name, content in value),
        of=of,
    )
