"""The public suite that every forecaster must pass: built-in or plug-in.

::

    from forecasting.conformance import check_forecaster

    def test_it_conforms() -> None:
        check_forecaster(MyForecaster())
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import PredictsMany
from forecasting.errors import FitFailed, ForecastError, InsufficientHistory, InvalidSeries, InvalidState
from forecasting.forecaster import FittedForecaster, Forecaster
from forecasting.serialise import dumps, loads
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecasting.forecast import Forecast
    from forecasting.series import FloatArray

__all__ = ["NotConforming", "check_forecaster", "strange_series"]

_LEVELS = (0.05, 0.5, 0.9, 0.95)
_ODD_LEVELS = (0.0001, 0.123, 0.5, 0.987, 0.99999)
_MAX_STORED_BYTES = 64 * 1024


class NotConforming(ForecastError):
    """A forecaster breaks its contract. Attribute `failures`: one text for each way in which it does."""

    def __init__(self, name: str, failures: tuple[str, ...]) -> None:
        listed = "\n".join(f"  - {failure}" for failure in failures)
        super().__init__(f"forecaster {name!r} breaks its contract in {len(failures)} ways:\n{listed}")
        self.failures = failures


@dataclass(frozen=True, slots=True)
class _Check:
    """A fitted forecaster and what is expected of it."""

    fitted: FittedForecaster
    context: TimeSeries
    horizon: int

    def predict(
        self,
        context: TimeSeries | None = None,
        *,
        horizon: int | None = None,
        levels: tuple[float, ...] = _LEVELS,
        fitted: FittedForecaster | None = None,
    ) -> Forecast:
        return (fitted or self.fitted).predict(
            self.context if context is None else context,
            horizon=self.horizon if horizon is None else horizon,
            levels=levels,
        )


def check_forecaster(
    forecaster: Forecaster,
    *,
    step: int = 60,
    horizon: int = 10,
    days: float = 8.0,
    max_stored_bytes: int | None = _MAX_STORED_BYTES,
) -> None:
    """Fits the forecaster to ordinary and to strange series and checks all that its contract promises.

    Args:
        forecaster: What to check.
        step: Seconds between the samples of the series made for it.
        horizon: Horizon to fit for.
        days: Length of these series.
        max_stored_bytes: How large a fitted forecaster may be when stored; None: as large as it likes.

    Raises:
        NotConforming: It breaks its contract; the text lists every way found.
    """
    failures: list[str] = []
    if not isinstance(forecaster, Forecaster):
        raise NotConforming(type(forecaster).__name__, ("it has no name, min_history and fit",))
    need = forecaster.min_history(step)
    ordinary = _ordinary(step, max(int(days * 86400 / step), 2 * need))
    try:
        fitted = forecaster.fit(ordinary, horizon=horizon, levels=_LEVELS)
        again = forecaster.fit(ordinary, horizon=horizon, levels=_LEVELS)
    except Exception as error:  # whatever it raises is the finding
        raise NotConforming(forecaster.name, (f"an ordinary series: fit raised {_told(error)}",)) from error
    if not isinstance(fitted, FittedForecaster):
        raise NotConforming(forecaster.name, ("what fit returns has no context_length and predict",))
    check = _Check(fitted, ordinary, horizon)
    for title, part in _PARTS.items():
        _collect(failures, title, lambda part=part: part(check))  # type: ignore[misc]  # bound at once
    _collect(failures, "storing", lambda: _stored(check, again, max_stored_bytes))
    _collect(failures, "short history", lambda: _short(forecaster, ordinary, horizon))
    for title, series in strange_series(step, len(ordinary)):
        _collect(failures, f"{title}, predicted from", lambda series=series: _sound(check, series))  # type: ignore[misc]  # bound at once
        _collect(failures, f"{title}, fitted to", lambda series=series: _fits(forecaster, series, horizon))  # type: ignore[misc]  # bound at once
    if failures:
        raise NotConforming(forecaster.name, tuple(failures))


def strange_series(step: int, n: int) -> Iterator[tuple[str, TimeSeries]]:
    """Series of the kinds that break forecasters, each with its title.

    Args:
        step: Seconds between samples.
        n: Samples.
    """
    usual = _ordinary(step, n).values
    random = np.random.default_rng(7)

    def made(values: FloatArray) -> TimeSeries:
        return TimeSeries(1_700_006_400 // step * step, step, values)

    yield "all zeros", made(np.zeros(n))
    yield "a constant", made(np.full(n, 42.0))
    yield "huge values", made(usual * 1e300)
    yield "the largest number", made(np.full(n, np.finfo(np.float64).max))
    yield "tiny values", made(usual * 1e-300)
    yield "the smallest numbers", made(np.where(usual > np.median(usual), 5e-324, 0.0))
    yield "numbers beside the smallest", made(np.where(np.arange(n) % 2 == 0, 5e-324, 1e-323))
    yield "one huge spike", made(np.where(np.arange(n) == n - 30, 1e300, usual))
    yield "negative values", made(usual - usual.max())
    yield "nine tenths missing", made(np.where(random.random(n) < 0.9, np.nan, usual))
    yield (
        "the last four hours missing but for the end",
        made(np.where((np.arange(n) > n - 14400 // step) & (np.arange(n) < n - 1), np.nan, usual)),
    )
    yield "a long outage", made(np.where((np.arange(n) > n // 3) & (np.arange(n) < n // 2), np.nan, usual))
    yield (
        "the last two thirds missing but for the end",
        made(np.where((np.arange(n) > n // 3) & (np.arange(n) < n - 3), np.nan, usual)),
    )
    yield "the last quarter of an hour missing", made(np.where(np.arange(n) >= n - 15, np.nan, usual))
    yield "a jump of a millionfold", made(np.where(np.arange(n) > n - 200, usual * 1e6, usual))
    yield "on and off", made(np.where(np.arange(n) // 37 % 5 == 0, usual, 0.0))


def _ordinary(step: int, n: int) -> TimeSeries:
    """A daily and weekly rhythm with noise: what forecasters are made for."""
    random = np.random.default_rng(20260101)
    start = 1_700_006_400 // step * step
    day = (start + step * np.arange(n)) / 86400
    shape = 100 + 60 * np.sin(2 * np.pi * day) + 15 * np.sin(2 * np.pi * day / 7 + 1)
    noise = np.convolve(random.normal(0, 6, n + 4), [0.5, 0.3, 0.2, 0.1, 0.1], mode="valid")
    return TimeSeries(start, step, np.maximum(shape + noise, 0.0))


def _collect(failures: list[str], title: str, part: Callable[[], str | None]) -> None:
    try:
        failure = part()
    except Exception as error:  # noqa: BLE001  # whatever it raises is the finding
        failure = f"raised {_told(error)}"
    if failure:
        failures.append(f"{title}: {failure}")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _shape(check: _Check) -> str | None:
    forecast = check.predict()
    if forecast.values.shape != (len(_LEVELS), check.horizon):
        return f"asked for 4 levels and {check.horizon} steps, got shape {forecast.values.shape}"
    if forecast.origin != check.context.end:
        return f"origin is {forecast.origin}, not the time of the context's last sample, {check.context.end}"
    if (forecast.step, forecast.levels) != (check.context.step, _LEVELS):
        return f"step and levels are {forecast.step} and {forecast.levels}, not those asked for"
    return "negative load" if (forecast.values < 0).any() else None


def _arbitrary(check: _Check) -> str | None:
    for horizon in (1, check.horizon, 3 * check.horizon + 1, 20 * check.horizon):
        forecast = check.predict(horizon=horizon, levels=_ODD_LEVELS)
        if forecast.values.shape != (len(_ODD_LEVELS), horizon):
            return f"asked for 5 levels and {horizon} steps, got shape {forecast.values.shape}"
        if (forecast.values < 0).any():
            return f"negative load at horizon {horizon}"
    return None


def _context(check: _Check) -> str | None:
    length = check.fitted.context_length
    if length < 1:
        return f"context_length is {length}, it must be 1 or more"
    plain = check.predict()
    if check.predict(check.context.last(length)) != plain:
        return f"samples before the last {length}, its context_length, change the forecast"
    altered = check.context.values.copy()
    altered[: max(0, len(altered) - length)] = 12345.0
    if check.predict(TimeSeries(check.context.start, check.context.step, altered)) != plain:
        return f"altering samples before the last {length}, its context_length, changes the forecast"
    return None


def _look_ahead(check: _Check) -> str | None:
    if not isinstance(check.fitted, PredictsMany):
        return None  # predict is given nothing that lies ahead
    series = check.context
    origins = np.arange(len(series) - 40, len(series) - 20, dtype=np.int64)
    altered = series.values.copy()
    altered[origins[-1] + 1 :] = 54321.0
    other = TimeSeries(series.start, series.step, altered)
    batches = [
        check.fitted.predict_many(s, origins, horizon=check.horizon, levels=_LEVELS)
        for s in (series, other, series.first(int(origins[-1]) + 1))
    ]
    for batch in batches[1:]:
        if not np.array_equal(batch.values, batches[0].values) or not np.array_equal(batch.peak, batches[0].peak):
            return "predict_many changes when samples after the last origin change"
    for row in (0, len(origins) - 1):
        if batches[0].forecast(row) != check.predict(series.first(int(origins[row]) + 1)):
            return "predict_many and predict differ"
    return None


def _deterministic(check: _Check) -> str | None:
    first = check.predict()
    check.predict(check.context.first(len(check.context) // 2))
    if check.predict() != first:
        return "the same call gave another forecast the second time"
    return None


def _missing(check: _Check) -> str | None:
    nothing = TimeSeries(check.context.start, check.context.step, np.full(500, np.nan))
    empty = TimeSeries(0, check.context.step, np.empty(0))
    for title, context in (("all missing", nothing), ("empty", empty)):
        try:
            check.predict(context)
        except InsufficientHistory:
            continue
        return f"a context that is {title} must raise InsufficientHistory"
    one = TimeSeries(check.context.start, check.context.step, np.array([5.0]))
    return _sound(check, one)


def _foreign_step(check: _Check) -> str | None:
    step = check.context.step * 2
    try:
        check.predict(TimeSeries(0, step, check.context.values))
    except InvalidSeries:
        return None
    return "a context on another step than the fitted one must raise InvalidSeries"


def _sound(check: _Check, series: TimeSeries) -> str | None:
    try:
        forecast = check.predict(series)
    except InsufficientHistory:
        return None
    if (forecast.values < 0).any() or (forecast.peak < 0).any():
        return "negative load"
    return None


def _fits(forecaster: Forecaster, series: TimeSeries, horizon: int) -> str | None:
    try:
        fitted = forecaster.fit(series, horizon=horizon, levels=_LEVELS)
    except (InsufficientHistory, FitFailed):
        return None
    return _sound(_Check(fitted, series, horizon), series)


def _short(forecaster: Forecaster, series: TimeSeries, horizon: int) -> str | None:
    need = forecaster.min_history(series.step)
    for n in sorted({0, 1, 2, need // 2, need - 1} & set(range(need))):
        try:
            forecaster.fit(series.first(n), horizon=horizon, levels=_LEVELS)
        except InsufficientHistory:
            continue
        return f"min_history is {need}, but {n} samples do not raise InsufficientHistory"
    return _fits(forecaster, series.last(need), horizon)


def _stored(check: _Check, again: FittedForecaster, limit: int | None) -> str | None:
    data = dumps(check.fitted)
    if dumps(again) != data:
        return "fitting twice to the same series gave two different models"
    try:
        loaded = loads(data)
    except InvalidState as error:
        return f"what was stored cannot be read: {error}"
    if dumps(loaded) != data:
        return "storing what was read gave other bytes"
    if check.predict(fitted=loaded) != check.predict():
        return "the forecaster read back forecasts something else"
    if limit is not None and len(data) > limit:
        return f"stored it takes {len(data)} bytes, more than {limit}"
    return None


def _immutable(check: _Check) -> str | None:
    before = dumps(check.fitted)
    for field in getattr(type(check.fitted), "__dataclass_fields__", {}):
        try:
            setattr(check.fitted, field, getattr(check.fitted, field))
        except (AttributeError, TypeError):
            continue
        return f"its field {field!r} can be assigned to: make it a frozen dataclass"
    check.predict()
    return None if dumps(check.fitted) == before else "predicting changed it"


_PARTS: dict[str, Callable[[_Check], str | None]] = {
    "contract": _shape,
    "levels and horizons not fitted for": _arbitrary,
    "context_length": _context,
    "no look-ahead": _look_ahead,
    "determinism": _deterministic,
    "missing samples": _missing,
    "another step": _foreign_step,
    "immutability": _immutable,
}
