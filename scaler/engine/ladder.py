"""The ladder: which forecasters to try, best first, and when to try again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.engine.messages import Rung

if TYPE_CHECKING:
    from scaler.engine.state import ModelState

__all__ = ["STAND_INS", "ban", "next_fit", "rungs"]

STAND_INS = ("seasonal-profile", "seasonal-naive")
"""What stands in when the forecaster asked for has too little history or fails, best first."""

_FIRST_BAN = 600.0  # seconds: a forecaster that hung or crashed its worker rests ten minutes, then twice that, ...
_LONGEST_BAN = 21600.0
_GROWTH = 1.25  # a series that was too young is tried again when it is a quarter longer,
_GROWTH_WAIT = 3600.0  # or after an hour


def rungs(model: ModelState, *, known: tuple[str, ...], now: float) -> list[Rung]:
    """The ladder for a fit now: the forecaster asked for, then its stand-ins, without those that rest.

    Args:
        model: What is to be fitted.
        known: Names that the registry has.
        now: Epoch seconds.
    """
    name, parameters = model.key
    ladder = [Rung(name, dict(parameters))]
    ladder += [Rung(other) for other in STAND_INS if other != name and other in known]
    return [rung for rung in ladder if model.banned.get(rung.forecaster, (0.0, 0))[0] <= now]


def ban(model: ModelState, forecaster: str, *, now: float) -> None:
    """Lets a forecaster rest that hung or crashed its worker, longer each time."""
    times = model.banned.get(forecaster, (0.0, 0))[1] + 1
    model.banned[forecaster] = (now + min(_LONGEST_BAN, _FIRST_BAN * 2.0 ** (times - 1)), times)


def next_fit(model: ModelState, *, known: int, refit_every: float) -> float:
    """When to fit again (epoch seconds; 0.0 is at once): in time if the model is the one asked for, else as soon
    as the history has grown by a quarter, or an hour has passed.
    """
    if model.fitted is not None and model.rung == model.key[0]:
        due = model.fitted_at + refit_every
        # a refit that came to nothing is no reason to try again at once: the model in use is still good
        return max(due, model.tried_at + _GROWTH_WAIT) if model.tried_at > model.fitted_at else due
    if known >= _GROWTH * max(1, model.tried_with):
        return 0.0
    return model.tried_at + _GROWTH_WAIT
