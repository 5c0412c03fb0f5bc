"""Any forecaster on a history whose level has changed for good: what came before is scaled to the level of today.

Seasonal methods show yesterday's profile at yesterday's level; regressions and trees learn from two regimes at once. So
where `forecasting.prepare.shifts` finds a lasting change in the history that a forecaster is to be fitted to, it is
fitted to a history at one level, and shown such a one later. What was observed stays as it was, and so does the floor
under every forecast. On most series nothing is found, and nothing is different.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_last, predict_many, require_step, vectorised
from forecasting.prepare.shifts import Shift, find_shifts, levelled
from forecasting.serialise import dumps, stored_as
from forecasting.wrapping import Wrapping, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.batch import ForecastBatch
    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries
    from forecasting.windows import IntArray

__all__ = ["FittedWithShifts", "WithShifts"]

_LARGEST = np.finfo(np.float64).max / 2


@stored_as("shifts/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedWithShifts:
    """A fitted forecaster and the changes of level before which it is shown a scaled history.

    Attributes:
        step: Seconds between samples, of the series fitted.
        base: The forecaster, fitted to the history at one level, as `forecasting.serialise.dumps` writes it.
        shifts: The changes, newest first.
        explanation: The forecaster's, and the changes, in words.
    """

    step: int
    base: bytes
    shifts: tuple[Shift, ...]
    explanation: str

    @property
    def context_length(self) -> int:
        """As far back as the forecaster looks."""
        return wrapped(self.base).context_length

    @property
    def unpredictable(self) -> bool:
        """Whether nothing beat the last value: see `forecasting.premium`."""
        return bool(getattr(wrapped(self.base), "unpredictable", False))

    @property
    def one_by_one(self) -> bool:
        """Whether the forecaster takes its time over each forecast; see `forecasting.batch.vectorised`."""
        return not vectorised(wrapped(self.base))

    def predict(self, context: TimeSeries, *, horizon: int, levels: Sequence[float]) -> Forecast:
        """See `forecasting.forecaster.FittedForecaster.predict`."""
        shown = self.shown(context)
        if shown is not None:
            base, seen = shown
            return base.predict(seen, horizon=horizon, levels=levels)
        seen = context.last(self.context_length)
        return predict_last(self, seen, horizon=horizon, levels=levels, purpose="a forecast")

    def shown(self, context: TimeSeries) -> tuple[FittedForecaster, TimeSeries] | None:
        """The forecaster and what it is shown, see `forecasting.together`; None before a change, at another level."""
        if not len(context) or context.end < self.shifts[0].at:
            return None
        base = wrapped(self.base)
        return base, levelled(context.last(base.context_length), self.shifts)

    def predict_many(
        self, series: TimeSeries, origins: IntArray, *, horizon: int, levels: Sequence[float]
    ) -> ForecastBatch:
        """Forecasts from each of these positions, at the level that the load had there."""
        require_step(series, self.step)
        base = wrapped(self.base)
        batch = predict_many(base, levelled(series, self.shifts), origins, horizon=horizon, levels=levels)
        scale = np.ones((len(batch), 1, 1))
        for shift in self.shifts:
            scale[batch.origins < shift.at] *= shift.factor
        if (scale == 1.0).all():
            return batch
        values, peak = (np.minimum(q, _LARGEST * np.minimum(scale, 1.0)) / scale for q in (batch.values, batch.peak))
        return type(batch)(batch.origins, batch.step, batch.levels, values, peak)


class WithShifts(Wrapping):
    """A forecaster, fitted to histories at one level."""

    __slots__ = ()

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedForecaster:
        """Fits the forecaster: to the series if its level has not changed, else to what comes of it at one level."""
        shifts = find_shifts(series)
        if not shifts:
            return self.base.fit(series, horizon=horizon, levels=levels)
        fitted = self.base.fit(levelled(series, shifts), horizon=horizon, levels=levels)
        said = [getattr(fitted, "explanation", ""), _in_words(shifts)]
        return FittedWithShifts(
            step=series.step, base=dumps(fitted), shifts=shifts, explanation="; ".join(filter(None, said))
        )


def _in_words(shifts: Sequence[Shift]) -> str:
    told = ", ".join(
        f"x{shift.factor:.2f} since {datetime.fromtimestamp(shift.at, UTC):%Y-%m-%d %H:%M} UTC" for shift in shifts
    )
    return f"level {told}: earlier history scaled"
