"""What `foresail backtest` computes on all cores: a fit, and the forecasts of the origins that it serves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_many
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.refits import latest_fit, origins_of
from forecasting.registry import default_registry, fitting

if TYPE_CHECKING:
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["FitJob", "Part", "forecast_part"]

_CHUNK = 8_000_000  # numbers forecast at once: bounds the memory of far horizons and rare fits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitJob:
    """A fit and the forecasts up to the next.

    Attributes:
        series: The history up to the last of these forecasts; not a sample more.
        forecaster: Its name.
        parameters: Its parameters, texts by name.
        times: When fits are due, up to the last sample.
        position: Which of these this one is.
        steps: Horizons to keep, in steps; the last is the longest.
        levels: Quantile levels.
        history: Samples to fit to, at most.
        whole: Times of the origins whose forecasts are kept at every step.
    """

    series: TimeSeries
    forecaster: str
    parameters: dict[str, str]
    times: tuple[int, ...]
    position: int
    steps: tuple[int, ...]
    levels: tuple[float, ...]
    history: int
    whole: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What came of a FitJob.

    Attributes:
        positions: Of the origins in the series; shape (N,).
        values: Quantiles of the values; shape (N, levels, horizons). NaN where there was too little to forecast from.
        peak: Quantiles of the maximum up to the horizon; as `values`.
        whole: The values at every step, shape (levels, steps), by the time of the origin.
        fit_seconds: CPU time of the fit.
        predict_seconds: CPU time of all forecasts.
        explanation: What the fit says of itself.
        failed: Why the fit failed, so that an earlier one was used; or empty.
        error: Why there is nothing; or empty.
    """

    positions: IntArray
    values: FloatArray
    peak: FloatArray
    whole: dict[int, FloatArray]
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    explanation: str = ""
    failed: str = ""
    error: str = ""


def forecast_part(job: FitJob) -> Part:
    """Fits, and forecasts from every sample until the next fit."""
    series, steps = job.series, job.steps
    origins = origins_of(series, job.times, job.position)
    shape = (len(origins), len(job.levels), len(steps))
    part = Part(origins, np.full(shape, np.nan), np.full(shape, np.nan), {})
    forecaster = fitting(default_registry().create(job.forecaster, job.parameters), series)
    try:
        fit = latest_fit(
            series,
            forecaster,
            job.times,
            job.position,
            horizon=steps[-1],
            levels=job.levels,
            history=job.history,
            timer=time.process_time,
        )
    except (InsufficientHistory, FitFailed) as error:
        return Part(origins, part.values, part.peak, {}, error=str(error))
    at = np.array(steps) - 1
    started = time.process_time()
    size = max(1, _CHUNK // (len(job.levels) * steps[-1]))
    for first in range(0, len(origins), size):
        chunk = slice(first, first + size)
        batch = predict_many(fit.fitted, series, origins[chunk], horizon=steps[-1], levels=job.levels)
        part.values[chunk], part.peak[chunk] = batch.values[:, :, at], batch.peak[:, :, at]
        for row in np.flatnonzero(np.isin(batch.origins, job.whole)):
            part.whole[int(batch.origins[row])] = np.array(batch.values[row])
    return Part(
        origins,
        part.values,
        part.peak,
        part.whole,
        fit_seconds=fit.seconds,
        predict_seconds=time.process_time() - started,
        explanation=getattr(fit.fitted, "explanation", ""),
        failed=fit.failed,
    )
