"""What can go wrong in forecasting.

::

    ForecastError
    ├── InvalidSeries         a series or context that breaks the contract of TimeSeries
    ├── InvalidForecast       a forecast that breaks the contract of Forecast: a bug in a forecaster
    ├── InvalidParameter      a forecaster's parameter is unknown or out of range
    ├── InvalidState          stored bytes are not a fitted forecaster that this version can read
    ├── UnknownForecaster     no forecaster of that name
    ├── DuplicateForecaster   two forecasters claim one name
    ├── InsufficientHistory   the method needs more samples than there are: step down the ladder, try later
    └── FitFailed             the method met data that it cannot be fitted to: step down the ladder

Every text stands alone: it names the value and what would be right.
"""

__all__ = [
    "DuplicateForecaster",
    "FitFailed",
    "ForecastError",
    "InsufficientHistory",
    "InvalidForecast",
    "InvalidParameter",
    "InvalidSeries",
    "InvalidState",
    "UnknownForecaster",
]


class ForecastError(Exception):
    """Base of all errors of the forecasting package."""


class InvalidSeries(ForecastError):
    """A series breaks the contract of TimeSeries."""


class InvalidForecast(ForecastError):
    """A forecast breaks the contract of Forecast."""


class InvalidParameter(ForecastError):
    """A forecaster's parameter is unknown or out of range."""


class InvalidState(ForecastError):
    """Stored bytes are not a fitted forecaster that this version can read."""


class UnknownForecaster(ForecastError):
    """No forecaster of that name is registered."""


class DuplicateForecaster(ForecastError):
    """Two forecasters claim one name."""


class InsufficientHistory(ForecastError):
    """The method needs more history than there is."""

    def __init__(self, method: str, *, have: int, need: int) -> None:
        super().__init__(f"{method} needs {need} known samples of history, this series has {have}")
        self.method = method
        self.have = have
        self.need = need


class FitFailed(ForecastError):
    """The method cannot be fitted to this series."""
