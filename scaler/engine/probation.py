"""What a forecaster says, looked at before it is believed: a plug-in may return anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecasting.errors import ForecastError, InvalidForecast
from forecasting.forecast import Forecast
from forecasting.together import predict_together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

__all__ = ["Ask", "all_predicted", "predicted"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a forecaster is asked.

    Attributes:
        fitted: The forecaster.
        name: Its name, for errors.
        past: What it sees.
        horizon: Steps.
        levels: Quantile levels.
    """

    fitted: FittedForecaster
    name: str
    past: TimeSeries
    horizon: int
    levels: tuple[float, ...]


def predicted(
    fitted: FittedForecaster, past: TimeSeries, *, name: str, horizon: int, levels: Sequence[float]
) -> Forecast:
    """The forecast after this past.

    Raises:
        InvalidForecast: It is none, or not what was asked for.
    """
    return _asked(Ask(fitted, name, past, horizon, tuple(levels)))


def all_predicted(asks: Sequence[Ask]) -> list[Forecast | Exception]:
    """What `predicted` gives for each, or raises; those of one horizon and the same levels in one pass."""
    alike: dict[tuple[int, tuple[float, ...]], list[int]] = {}
    for row, ask in enumerate(asks):
        alike.setdefault((ask.horizon, ask.levels), []).append(row)
    out: dict[int, Forecast | Exception] = {}
    for (horizon, levels), rows in alike.items():
        fitted, pasts = [asks[row].fitted for row in rows], [asks[row].past for row in rows]
        found: Sequence[object]
        try:
            found = predict_together(fitted, pasts, horizon=horizon, levels=levels) if len(rows) > 1 else [None]
        except Exception:  # noqa: BLE001  # whatever it is: asked one by one, it is the fault of one
            found = [None] * len(rows)
        out |= {row: _outcome(asks[row], one) for row, one in zip(rows, found, strict=True)}
    return [out[row] for row in range(len(asks))]


def _outcome(ask: Ask, found: object) -> Forecast | Exception:
    """The forecast found, asked for if there is none."""
    try:
        if isinstance(found, ForecastError):
            return found
        return _asked(ask) if found is None else _checked(ask, found)
    except Exception as error:  # noqa: BLE001  # whatever it raises is the outcome
        return error


def _asked(ask: Ask) -> Forecast:
    return _checked(ask, ask.fitted.predict(ask.past, horizon=ask.horizon, levels=ask.levels))


def _checked(ask: Ask, forecast: object) -> Forecast:
    name = ask.name
    if not isinstance(forecast, Forecast):
        raise InvalidForecast(f"{name} predicted a {type(forecast).__name__}, not a Forecast")
    told = (forecast.origin, forecast.step, forecast.levels, forecast.horizon)
    asked = (ask.past.end, ask.past.step, ask.levels, ask.horizon)
    if told != asked:
        raise InvalidForecast(f"{name} predicted origin, step, levels and horizon {told}, asked for were {asked}")
    if forecast.values[0].min() < 0:
        raise InvalidForecast(f"{name} predicted a negative load: {forecast.values[0].min():g}")
    return forecast
