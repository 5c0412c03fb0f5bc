"""Which samples to fit to: up to a moment on a grid that replicas share. Pure.

Replicas that are given the same samples must give the same answers, whenever each of them was started or first saw a
trigger. So a fit ends at a multiple of the period between fits, at a phase of each series' own, and begins one history
window before that: whoever fits then or later fits to the same samples. A young series cannot wait that long:
for it the grid is finer, a power of two of steps, at most an eighth of its age.
"""

from __future__ import annotations

__all__ = ["lives_tested", "longest_period", "train_end"]

_LOOKED_BACK = 43200  # seconds
_MOST_LIVES = 4
_PART = 8  # of a young series' age, the period between two of its fits


def longest_period(*, refit_every: float, window: int, step: int) -> int:
    """Steps between two fits of a grown series.

    Args:
        refit_every: The setting, in seconds. A model outlives no history window: the samples of one fit must still be
            there for a replica that is started just before the next.
        window: Steps in a history window.
        step: Seconds.
    """
    return max(1, min(int(refit_every) // step, window))


def lives_tested(*, longest: int, step: int) -> int:
    """How many fits before the one in use are looked back on, to learn how forecasts must be read: of half a day."""
    return min(_MOST_LIVES, -(-_LOOKED_BACK // (longest * step)))


def train_end(*, begin: int, end: int, step: int, window: int, longest: int, phase: float) -> int:
    """The time of the last sample to fit to; never goes back while `end` moves on.

    Args:
        begin: Time of the series' first sample, epoch seconds; of no account once there is a whole window.
        end: Time of its last sample.
        step: Seconds between samples.
        window: Steps in a history window.
        longest: As of `longest_period`.
        phase: In [0, 1), the series' own.

    Returns:
        Epoch seconds, at or before `end`.
    """
    first, last = begin // step, end // step
    grown = min(_PART * longest, window)
    offset = int(phase * longest)
    while True:
        period = _period(last - first, grown=grown, longest=longest)
        aligned = (last - offset) // period * period + offset
        # whether a moment is on the grid is a matter of the age that the series had then
        if aligned <= first or _period(aligned - first, grown=grown, longest=longest) == period:
            return max(aligned, first) * step
        last = first + _age_from(period, grown=grown, longest=longest) - 1


def _period(age: int, *, grown: int, longest: int) -> int:
    if age >= grown:
        return longest
    return min(longest, 1 << max(0, (age // _PART).bit_length() - 1))


def _age_from(period: int, *, grown: int, longest: int) -> int:
    """The age from which on the period is this one; periods below it belong to younger series."""
    return grown if period == longest else min(grown, _PART * period)
