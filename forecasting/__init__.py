"""Forecasting with calibrated uncertainty: arrays in, arrays out.

No clock, no I/O, no logging, no global state: what a forecaster returns depends on its arguments alone, so
replicas agree and tests need no clock. The names are the field's: horizon, level (of a quantile), season
length, rolling origin, pinball loss.
"""

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
