"""Why `auto` does what it does, in a sentence: the seasons found, which method beats which, what is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["reason_for", "seasons_in_words"]

_LAST = "the last value"
_USUAL = {3600: "hourly", 86400: "daily", 604800: "weekly"}
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def seasons_in_words(lengths: Sequence[int]) -> str:
    """Which seasons were found: `daily and weekly seasons found`, `8 h and daily seasons found`, `no season found`.

    Args:
        lengths: Of the seasons, in seconds.
    """
    if not lengths:
        return "no season found"
    named = [_USUAL.get(length) or _span(length) for length in sorted(lengths)]
    return f"{_listed(named)} season{'s' if len(named) > 1 else ''} found"


def reason_for(
    shares: Mapping[str, float],
    losses: Mapping[str, float],
    *,
    days: float,
    won: bool,
    seasons: Sequence[int] | None,
    young: bool = False,
) -> str:
    """The sentence.

    Args:
        shares: Of the methods in the mean; they sum to 1.
        losses: Of the methods that competed, the last value's being 1; empty where there was nothing to compete on.
        days: That they competed over.
        won: Whether one of them is worth more than the last value.
        seasons: That were found, their lengths in seconds; None: nobody looked.
        young: Whether the shares are those of other series' first days, where nobody won.
    """
    found = "" if seasons is None else f"{seasons_in_words(seasons)}; "
    over = f"over {days:.1f} days" if days >= 1.0 else f"over {round(1440 * days)} minutes"
    if losses and won:
        (best, least), *rivals = sorted([*losses.items(), (_LAST, 1.0)], key=lambda one: one[1])
        ahead = {name: round(100 * (1 - least / loss)) if loss else 0 for name, loss in rivals}
        level = [name for name, percent in ahead.items() if not percent]
        beaten = [f"{name} by {percent} %" for name, percent in ahead.items() if percent]
        first = f"{best}, level with {_listed(level)}," if level else best
        return f"{found}{first} beats {_listed(beaten)} {over}: {_shares(shares)}"
    judged = [f"{name} {_against_last(losses[name])}" for name in sorted(losses, key=lambda name: losses[name])]
    nothing = f"nothing beats the last value {over} ({', '.join(judged)})"
    if young:
        usual = f"{found}{_shares(shares)}, as on the first days of other series"
        return f"{usual}: {nothing if losses else 'the history is too short to compare them'}"
    served = f"unpredictable: serving observed load with headroom, or the forecast if higher ({_shares(shares)})"
    if not losses:
        return f"{served}: the history is too short for more, or too little of it is known"
    return f"{served}: {found}{nothing}"


def _against_last(loss: float) -> str:
    return f"loses {_percent(abs(1 - loss))} {'more' if loss > 1 else 'less'}"


def _shares(shares: Mapping[str, float]) -> str:
    if len(shares) == 1:
        return f"{next(iter(shares))} alone"
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return _listed([f"{_percent(share)} {name}" for name, share in ordered])


def _percent(part: float) -> str:
    return f"{round(100 * part)} %"


def _span(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    return f"{seconds / size:.4g} {unit}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
