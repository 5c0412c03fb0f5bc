"""Forecasting with calibrated uncertainty: arrays in, arrays out.

No clock, no I/O, no logging, no global state: what a forecaster returns depends on its arguments alone, so
replicas agree and tests need no clock. The names are the field's: horizon, level (of a quantile), season
length, rolling origin, pinball loss.

The names below are imported when they are first used: a process that serves needs an error or a constant of this
package, and none of its numerics.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecasting.errors import (
        FitFailed,
        ForecastError,
        InsufficientHistory,
        InvalidParameter,
        InvalidSeries,
        InvalidState,
        UnknownForecaster,
    )
    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.series import TimeSeries

__all__ = [
    "FitFailed",
    "FittedForecaster",
    "Forecast",
    "ForecastError",
    "Forecaster",
    "InsufficientHistory",
    "InvalidParameter",
    "InvalidSeries",
    "InvalidState",
    "TimeSeries",
    "UnknownForecaster",
]

_HOMES = {
    "FittedForecaster": "forecaster",
    "Forecast": "forecast",
    "Forecaster": "forecaster",
    "TimeSeries": "series",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
