"""The contract between a forecasting method and everything that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecast import Forecast
    from forecasting.series import TimeSeries

__all__ = ["FittedForecaster", "Forecaster"]


@runtime_checkable
class FittedForecaster(Protocol):
    """A method with its parameters estimated: immutable, and a pure function of the context it is given.

    Implementations are frozen dataclasses of numbers, strings, tuples and numpy arrays, so that
    `forecasting.serialise` writes and reads them without code of their own.
    """

    @property
    def context_length(self) -> int:
        """How many of the latest samples `predict` looks at; more change nothing."""
        ...

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """Forecasts the `horizon` steps after the context's last sample.

        Args:
            context: The recent past; its step is that of the series fitted. May hold NaN and be shorter than
                `context_length`.
            horizon: Steps to forecast, 1 or more. Beyond the horizon fitted for, a method extrapolates.
            levels: Quantile levels, strictly increasing, in (0, 1); any, not only those fitted for.

        Returns:
            The forecast, its origin the time of the context's last sample, known or not. Never negative.

        Raises:
            InsufficientHistory: The context holds too little to say anything: no known sample, or none in the last 15
                minutes for a method that starts from the level there.
            InvalidSeries: The context's step is not the fitted one.
        """
        ...


@runtime_checkable
class Forecaster(Protocol):
    """A forecasting method: name, parameters, and how to fit it."""

    @property
    def name(self) -> str:
        """The name users write, e.g. `seasonal-naive`."""
        ...

    def min_history(self, step: int) -> int:
        """Known samples needed before `fit` is worth calling, on a grid of `step` seconds."""
        ...

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedForecaster:
        """Estimates the method's parameters on a series.

        Args:
            series: History up to now; may hold NaN. Its covariates, if any, are other series at the same moments.
            horizon: Steps that `predict` will mostly be asked for: calibrated up to here.
            levels: Quantile levels that `predict` will mostly be asked for.

        Raises:
            InsufficientHistory: Fewer known samples than the method needs.
            FitFailed: The method cannot be fitted to this series.
        """
        ...
