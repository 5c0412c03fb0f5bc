"""What a forecaster says, looked at before it is believed: a plug-in may return anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecasting.errors import InvalidForecast
from forecasting.forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

__all__ = ["predicted"]


def predicted(
    fitted: FittedForecaster, past: TimeSeries, *, name: str, horizon: int, levels: Sequence[float]
) -> Forecast:
    """The forecast after this past.

    Raises:
        InvalidForecast: It is none, or not what was asked for.
    """
    forecast: object = fitted.predict(past, horizon=horizon, levels=levels)
    if not isinstance(forecast, Forecast):
        raise InvalidForecast(f"{name} predicted a {type(forecast).__name__}, not a Forecast")
    told = (forecast.origin, forecast.step, forecast.levels, forecast.horizon)
    asked = (past.end, past.step, tuple(levels), horizon)
    if told != asked:
        raise InvalidForecast(f"{name} predicted origin, step, levels and horizon {told}, asked for were {asked}")
    if forecast.values[0].min() < 0:
        raise InvalidForecast(f"{name} predicted a negative load: {forecast.values[0].min():g}")
    return forecast
