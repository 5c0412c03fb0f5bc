"""The baseline that the forecasts' promises are taken from, rebuilt: one quantile gradient boosting a series.

What is promised of `auto` was written down as a ratio to the last value beside the ratio that "single boosted" had to
the same last value, without a word on that last value's bands. Another yardstick changes both by up to a half, but
not what one of them is to the other; so the bench builds the second as its description has it, and compares directly.

The description: quantile gradient boosting (scikit-learn's, whose defaults these are: 100 trees of 31 leaves in steps
of 0.1, 20 rows a leaf, 255 bins; leaves are quantiles in LightGBM as there) on this series alone, a model for each
quantile level and each horizon; what is explained is the log-ratio of the value, or of the window's peak, to the mean
of the last quarter of an hour; from a few dozen features: lags, rolling means and maxima, the same window some hours
and 1 to 14 days ago relative to now and to the level then, seasonal means, the clock. Each level is corrected by the
split-conformal quantile of what it missed on the latest days, which are kept from the trees (Romano, Patterson and
Candès, "Conformalized quantile regression", NeurIPS 2019). No second expert, no fleet model.

It serves the bench alone: it is in no registry, and takes seconds to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import lightgbm
import numpy as np

from forecasting.batch import ForecastBatch, predict_last, require_horizon, require_step
from forecasting.boosting import as_they_count, held_out_from
from forecasting.calibration import conformal_quantiles
from forecasting.errors import InsufficientHistory
from forecasting.features.names import NAMES, columns
from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.features.seen import FLOOR
from forecasting.forecast import checked_levels, rearranged
from forecasting.quantiles import at_depth, depth, filled
from forecasting.serialise import stored_as
from forecasting.series import FloatArray  # msgspec reads the annotations of FittedBaseline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.rolling import Float32Array
    from forecasting.forecast import Forecast
    from forecasting.series import TimeSeries
    from forecasting.windows import IntArray

__all__ = ["BASELINES", "FEATURES", "BoostedBaseline", "FittedBaseline"]

LEVELS = (0.5, 0.9, 0.95, 0.99)
_STARTS = (
    "lag ",
    "mean of ",
    "highest of ",
    "1 days ago",
    "2 days ago",
    "3 days ago",
    "7 days ago",
    "14 days ago",
    "hour",
)
_SINGLE = (
    *("7 days' mean: came", "7 days' mean: ramp", "14 days' mean: came", "14 days' mean: ramp", "level"),
    *("minute of the day", "day of the week", "minute of the hour", "minute of the quarter"),
)
FEATURES = columns(*(name for name in NAMES if name.startswith(_STARTS) or name in _SINGLE))
"""Those described, of what the product has: where `forecasting.features.seen` puts them."""

_MOST = 4.0  # times the highest load seen: no forecast is above


@stored_as("bench-baseline/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBaseline:
    """Trees as LightGBM writes them down, and how far each level is shifted.

    Attributes:
        step: Seconds between samples, of the series fitted.
        unit: Loads are divided by it.
        values: Horizons that values are learned at, in steps.
        peaks: Horizons that peaks are learned at, in steps.
        models: For each of those, values first, one for each of LEVELS.
        shifts: What is added to each; shape (values + peaks, LEVELS).
        ceiling: Highest load seen in training, in units.
        columns: Which features they look at.
    """

    step: int
    unit: float
    values: tuple[int, ...]
    peaks: tuple[int, ...]
    models: tuple[str, ...]
    shifts: FloatArray
    ceiling: float
    columns: tuple[int, ...]

    @property
    def context_length(self) -> int:
        """Two weeks and a little."""
        return Past.reach(self.step, max(*self.values, *self.peaks))

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        seen = context.last(self.context_length)
        return predict_last(self, seen, horizon=horizon, levels=levels, purpose="a forecast from the last 15 minutes")

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions of the series; see `forecasting.batch.PredictsMany`."""
        levels = checked_levels(levels)
        require_step(series, self.step)
        require_horizon(horizon)
        out = np.full((2, len(origins), len(levels), horizon), np.nan)
        if len(series) and len(origins):
            begin = max(0, int(np.min(origins)) + 1 - self.context_length)
            seen = series.first(int(np.max(origins)) + 1)
            seen = seen.last(len(seen) - begin)
            out[:] = self._loads(Past(seen, Scale(self.unit, 0)), np.asarray(origins) - begin, horizon, levels)
        return ForecastBatch(series.start + series.step * np.asarray(origins), series.step, levels, *out)

    def _loads(self, past: Past, origins: IntArray, horizon: int, levels: tuple[float, ...]) -> FloatArray:
        """Quantiles of values and of peaks; shape (2, N, levels, horizon)."""
        asks = _asks(self.values, self.peaks)
        x = past.rows(origins, asks).x[:, self.columns].reshape(len(asks), len(origins), -1)
        models = (self.models[first : first + len(LEVELS)] for first in range(0, len(self.models), len(LEVELS)))
        of_each = zip(x, models, self.shifts, strict=True)
        learned = np.stack([_predicted(some, grown) + shift for some, grown, shift in of_each])
        wanted = depth(levels)
        found = np.stack([at_depth(np.sort(one, axis=1), depth(LEVELS), wanted) for one in learned])
        level = past.level[origins].astype(np.float64)[:, None, None]
        most = _MOST * np.maximum(self.ceiling, np.exp(level) - FLOOR)
        parts = zip((self.values, self.peaks), np.split(found, [len(self.values)]), strict=True)
        logs = (filled(part, anchors, horizon) for anchors, part in parts)
        value, peak = (np.clip(np.exp(np.minimum(log + level, 700.0)) - FLOOR, 0.0, most) for log in logs)
        # peaks are learned for the next minutes; a value farther ahead may be higher, one before may not
        ahead = np.arange(1, horizon + 1) > self.peaks[-1]
        value = np.where(ahead, value, np.minimum(value, peak))
        with np.errstate(over="ignore"):
            both = np.minimum(np.stack([value, peak]) * self.unit, np.finfo(np.float64).max / 2)
        known = ~np.isnan(level[:, 0, 0])
        both[:, known] = np.stack(rearranged(*both[:, known]))
        both[:, ~known] = np.nan
        return np.asarray(both)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedBaseline:
    """One quantile gradient boosting for each level and horizon of one series, each level corrected by conformal ranks.

    Attributes:
        trees: Of each.
        leaves: Of each tree.
        learning_rate: Share of each tree that is added.
        rows: Training rows at most.
        min_rows: Rows in a leaf at least.
        features: Those described, or all that the product has.
        conformal: Whether the latest days are kept to correct the levels, or learned from as well.
        value_minutes: Horizons of values.
        peak_minutes: Horizons of peaks.
    """

    trees: int = 100
    leaves: int = 31
    learning_rate: float = 0.1
    rows: int = 10_000
    min_rows: int = 20
    features: Literal["few", "all"] = "few"
    conformal: bool = True
    value_minutes: tuple[int, ...] = (5, 15, 60)
    peak_minutes: tuple[int, ...] = (3, 5, 10)

    name: ClassVar[str] = "baseline"

    def min_history(self, step: int) -> int:
        """Two days."""
        return 2 * 86400 // step

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedBaseline:
        """Grows trees on the past but for its latest days, and corrects their levels there."""
        del levels  # learned at LEVELS
        need = self.min_history(series.step)
        if series.known < need:
            raise InsufficientHistory(self.name, have=series.known, need=need)
        scale = Scale(Scale.of(series.values).unit, 0)
        past = Past(series, scale)
        values, peaks = (_steps(minutes, series.step, horizon) for minutes in (self.value_minutes, self.peak_minutes))
        looked_at = FEATURES if self.features == "few" else columns(*NAMES)
        cut = held_out_from(series) if self.conformal else len(series)
        models, shifts = [], []
        for h, kind in _asks(values, peaks):
            y = past.target(h, kind)
            known = np.flatnonzero(~np.isnan(y))
            train = known[(known >= min(86400 // series.step, cut // 2)) & (known < cut - h)]
            grown = self._grown(past, (h, kind), looked_at, train)
            kept = known[known >= cut]
            shift = np.zeros(len(LEVELS))
            if self.conformal and len(kept):
                missed = y[kept, None] - _predicted(past.rows(kept, [(h, kind)]).x[:, looked_at], grown)
                shift = np.nan_to_num(np.diag(conformal_quantiles(missed, LEVELS)))
            models.extend(grown)
            shifts.append(shift)
        ceiling = float(np.exp(np.nanmax(past.target(1, "value") + past.level, initial=np.log(FLOOR))) - FLOOR)
        return FittedBaseline(
            step=series.step,
            unit=scale.unit,
            values=values,
            peaks=peaks,
            models=tuple(models),
            shifts=np.array(shifts),
            ceiling=ceiling,
            columns=looked_at,
        )

    def _grown(self, past: Past, ask: tuple[int, Kind], looked_at: Sequence[int], origins: IntArray) -> list[str]:
        """Trees for each of LEVELS, from rows at these origins."""
        if len(origins) > self.rows:
            origins = origins[as_they_count(np.ones(len(origins)), self.rows)]
        settings = {
            "objective": "quantile",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows,
            "min_sum_hessian_in_leaf": 0.0,
            "max_bin": 255,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "seed": 1,
            "verbosity": -1,
        }
        y = past.target(*ask)[origins]
        x = past.rows(origins, [ask]).x[:, looked_at]
        data = lightgbm.Dataset(x, label=y, params=settings, free_raw_data=False)
        out = []
        for level in LEVELS:
            model = lightgbm.Booster({**settings, "alpha": level}, data)
            for _ in range(self.trees):
                model.update()
            out.append(model.model_to_string())
        return out


def _asks(values: Sequence[int], peaks: Sequence[int]) -> list[tuple[int, Kind]]:
    return [*((h, "value") for h in values), *((h, "peak") for h in peaks)]


def _steps(minutes: Sequence[int], step: int, horizon: int) -> tuple[int, ...]:
    """These horizons in steps, up to the one to fit for."""
    return tuple(sorted({min(horizon, max(1, one * 60 // step)) for one in minutes}))


def _predicted(x: Float32Array, models: Sequence[str]) -> FloatArray:
    """Of each model, for each row; shape (N, models)."""
    return np.stack([np.asarray(_booster(model).predict(x), dtype=np.float64) for model in models], axis=1)


@lru_cache(maxsize=64)
def _booster(model: str) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=model)


BASELINES = {
    "baseline": BoostedBaseline(),
    "baseline-small": BoostedBaseline(leaves=8, min_rows=40),
    "baseline-raw": BoostedBaseline(conformal=False),
    "baseline-all": BoostedBaseline(features="all"),
}
"""As the description has it; with smaller trees; without calibration; with all features that the product has."""
