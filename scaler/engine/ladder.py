"""The ladder: which forecasters to try, best first, and when to try again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.engine.messages import Rung

if TYPE_CHECKING:
    from scaler.engine.state import ModelState

__all__ = ["STAND_INS", "ban", "is_due", "rungs"]

STAND_INS = ("seasonal-profile", "seasonal-naive")
"""What stands in when the forecaster asked for has too little history or fails, best first."""

_FIRST_BAN = 600.0  # seconds: a forecaster that hung or crashed its worker rests ten minutes, then twice that, ...
_LONGEST_BAN = 21600.0


def rungs(model: ModelState, *, known: tuple[str, ...], now: float) -> list[Rung]:
    """The ladder for a fit now: the forecaster asked for, then its stand-ins, without those that rest.

    Args:
        model: What is to be fitted.
        known: Names that the registry has.
        now: Epoch seconds.
    """
    name = model.key.forecaster
    ladder = [Rung(name, dict(model.key.parameters))]
    ladder += [Rung(other) for other in STAND_INS if other != name and other in known]
    return [rung for rung in ladder if model.banned.get(rung.forecaster, (0.0, 0))[0] <= now]


def ban(model: ModelState, forecaster: str, *, now: float) -> None:
    """Lets a forecaster rest that hung or crashed its worker, longer each time."""
    times = model.banned.get(forecaster, (0.0, 0))[1] + 1
    model.banned[forecaster] = (now + min(_LONGEST_BAN, _FIRST_BAN * 2.0 ** (times - 1)), times)


def is_due(model: ModelState, span: tuple[int, int], *, now: float) -> bool:
    """Whether to fit: to other samples than last time, or with a forecaster that has rested since.

    A fit to the same samples would come to the same, so what failed is not tried again before there are others.

    Args:
        model: What may be fitted.
        span: Times of the first and the last sample that it would be fitted to.
        now: Epoch seconds.
    """
    if model.tried != span:
        return True
    stands_in = model.fitted is None or model.rung != model.key.forecaster
    return stands_in and any(model.tried_at < until <= now for until, _ in model.banned.values())
