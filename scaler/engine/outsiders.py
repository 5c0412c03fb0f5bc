"""Forecasters that others bring, kept at arm's length: the engine holds their bytes, workers make forecasts of them.

A forecaster of our own is asked in the engine's loop: its forecast takes milliseconds, and tests say so. What a plug-in
does when it is asked, nobody knows: it may hang on the thousandth forecast. So the engine never loads one nor runs any
of its code; a worker process does, which is killed when it takes too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecasting.errors import ForecastError, InvalidForecast, InvalidParameter, InvalidState
from forecasting.forecast import Forecast
from forecasting.registry import BUILT_IN
from forecasting.serialise import dumps, loads
from scaler.engine.beside import decoded, encoded
from scaler.engine.messages import About, Forecasted, ForecastRequest
from scaler.engine.probation import predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

__all__ = [
    "FORECAST_WITHIN",
    "Held",
    "Outsider",
    "about",
    "about_of",
    "bytes_of",
    "forecast_here",
    "forecast_of",
    "held",
    "is_answered",
    "request_of",
]

FORECAST_WITHIN = 30.0
"""Seconds that a plug-in has for a forecast, at most `fit_timeout`: the first one in a new worker may import torch."""

_OURS = frozenset(factory().name for factory in BUILT_IN)
_LONGEST_EXPLANATION = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Outsider:
    """A plug-in's fitted forecaster, as the engine holds it.

    Attributes:
        data: What `dumps` wrote.
        context_length: As it says of itself; so the others, where it says them.
        explanation: In words.
        unpredictable: Whether it does no better than the last value.
    """

    data: bytes
    context_length: int
    explanation: str = ""
    unpredictable: bool = False


Held: TypeAlias = "FittedForecaster | Outsider"


def held(name: str, data: bytes, told: About | None) -> Held:
    """A fitted forecaster of that name, to be asked here if it is one of ours.

    Raises:
        InvalidState: The bytes are damaged, or of another version.
    """
    if name in _OURS:
        return loads(data)
    if told is None:
        raise InvalidState(f"what {name} says of itself is missing: it was kept by another version")
    return Outsider(
        data=data,
        context_length=told.context_length,
        explanation=told.explanation,
        unpredictable=told.unpredictable,
    )


def bytes_of(fitted: Held) -> bytes:
    """What `held` was given."""
    return fitted.data if isinstance(fitted, Outsider) else dumps(fitted)


# --- in a worker ----------------------------------------------------------------------------


def about(name: str, fitted: FittedForecaster) -> About | None:
    """What a plug-in's fitted forecaster says of itself; None for one of ours, which the engine asks itself.

    Raises:
        InvalidState: Its context length is no number of samples.
    """
    if name in _OURS:
        return None
    length: object = fitted.context_length
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise InvalidState(f"{name} has the context_length {length!r}; it must be a whole number, 1 or more")
    return About(
        length,
        str(getattr(fitted, "explanation", ""))[:_LONGEST_EXPLANATION],
        bool(getattr(fitted, "unpredictable", False)),
    )


def forecast_here(request: ForecastRequest) -> Forecasted:
    """The forecast that is asked for, or why there is none."""
    past = decoded(request)
    name = request.forecaster
    try:
        found = predicted(loads(request.data), past, name=name, horizon=request.horizon, levels=request.levels)
    except (InvalidState, InvalidParameter) as error:
        return Forecasted(outcome="unknown", failure=str(error))
    except InvalidForecast as error:
        return Forecasted(outcome="wrong", failure=str(error))
    except ForecastError as error:
        return Forecasted(outcome="none", failure=str(error))
    except Exception as error:  # noqa: BLE001  # a plug-in may raise anything
        return Forecasted(outcome="wrong", failure=f"{name} failed to predict: {type(error).__name__}: {error}")
    return Forecasted(
        outcome="made", values=found.values.astype("<f8").tobytes(), peak=found.peak.astype("<f8").tobytes()
    )


# --- in the engine --------------------------------------------------------------------------


def about_of(fitted: Held) -> About | None:
    """What `held` was told."""
    if isinstance(fitted, Outsider):
        return About(fitted.context_length, fitted.explanation, fitted.unpredictable)
    return None


def request_of(
    name: str, fitted: Outsider, past: TimeSeries, *, horizon: int, levels: Sequence[float]
) -> ForecastRequest:
    """What to ask a worker for."""
    values, beside = encoded(past)
    return ForecastRequest(name, fitted.data, past.start, past.step, values, horizon, list(levels), beside)


def is_answered(request: ForecastRequest, forecast: Forecast | None) -> bool:
    """Whether the forecast is what the request would give: of this past, of these levels, so far ahead."""
    return forecast is not None and (forecast.origin, forecast.horizon, list(forecast.levels)) == (
        _origin(request),
        request.horizon,
        request.levels,
    )


def forecast_of(request: ForecastRequest, done: Forecasted) -> Forecast:
    """The forecast that a worker made.

    Raises:
        InvalidParameter: What was fitted is of another version, or builds on a model that is not there.
        InvalidForecast: It raised, or what it gave is no forecast.
        ForecastError: There is none from this past.
    """
    if done.outcome == "unknown":
        raise InvalidParameter(done.failure)
    if done.outcome == "wrong":
        raise InvalidForecast(done.failure)
    if done.outcome == "none":
        raise ForecastError(done.failure)
    shape = len(request.levels), request.horizon
    try:
        values, peak = (np.frombuffer(data, dtype="<f8").reshape(shape) for data in (done.values, done.peak))
    except ValueError as error:
        raise InvalidForecast(f"a worker sent a forecast of another shape than {shape}") from error
    return Forecast(_origin(request), request.step, tuple(request.levels), values, peak)


def _origin(request: ForecastRequest) -> int:
    """Time of the last sample."""
    return request.start + request.step * (len(request.values) // 8 - 1)
