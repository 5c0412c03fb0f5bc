"""Fits of the past put to the test: how must forecasts be read so that they keep their promise?

Each fit is tested on the samples that came between it and the next. While the engine is up, that costs next to nothing:
a worker that makes the next fit tests the one before on the way. An engine that has just been started makes
up for what it has not seen: it fits as it would have fitted then, when no other fit waits. So replicas agree,
whenever each of them was started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.engine.fits import FitLost, Priority
from scaler.engine.ladder import rungs
from scaler.engine.spans import earlier_ends, request_for, span_ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.fits import Fits
    from scaler.engine.messages import FitRequest
    from scaler.engine.meter import Meter
    from scaler.engine.state import ModelState, SeriesState
    from scaler.tenancy.ledger import Ledger

__all__ = ["Trials"]


class Trials:
    """Tests the fits before those in use. Used from the engine's loop."""

    def __init__(
        self,
        *,
        fits: Fits,
        forecasters: tuple[str, ...],
        refit_every: float,
        clock: Callable[[], float],
        meter: Meter,
        ledger: Ledger | None,
    ) -> None:
        """Args:
        fits: The pool.
        forecasters: Names that the registry has.
        refit_every: The setting, seconds.
        clock: Epoch seconds.
        meter: Told of every fit.
        ledger: Whose fits count against which quota; None: there are none.
        """
        self._fits = fits
        self._forecasters = forecasters
        self._refit_every = refit_every
        self._clock = clock
        self._meter = meter
        self._ledger = ledger

    def due(self, series: SeriesState) -> bool:
        """Whether something is to be made up for."""
        return any(self._untested(series, model) is not None for model in series.models.values())

    async def run(self, series: SeriesState) -> list[ModelState]:
        """Makes up for it; the models that there is something new of."""
        new: list[ModelState] = []
        for model in list(series.models.values()):
            while not model.testing and (end := self._untested(series, model)) is not None:
                model.testing = True
                try:
                    ranks = await self._tested(series, model, end)
                    model.learn({**model.lives, end: ranks})
                finally:
                    model.testing = False
                new.append(model)
        return new

    def passed(self, series: SeriesState, model: ModelState) -> None:
        """Lets go of what was learned too long ago."""
        looked_back_on = self._ends(series, model)
        model.learn({end: ranks for end, ranks in model.lives.items() if end in looked_back_on})

    def _ends(self, series: SeriesState, model: ModelState) -> list[int]:
        return earlier_ends(series, model.key, model.trained, refit_every=self._refit_every)

    def _untested(self, series: SeriesState, model: ModelState) -> int | None:
        """The end of the newest fit that was not tested yet."""
        if model.fitted is None or not model.trained or model.testing or model.fitting or not len(series.history):
            return None
        if self._ledger is not None and not self._ledger.may_fit(series.namespaces):
            return None
        return next((end for end in self._ends(series, model) if end not in model.lives), None)

    async def _tested(self, series: SeriesState, model: ModelState, end: int) -> bytes:
        """The ranks that the fit with this end has earned until the next."""
        until = min((later for later in (*model.lives, model.trained) if later > end), default=model.trained)
        ladder = rungs(model, known=self._forecasters, now=self._clock())
        if not ladder:
            return b""
        if self._ledger is not None:
            self._ledger.fitted(series.namespaces)

        def request() -> FitRequest:
            span = span_ending(series, model.key, end)[0], until
            return request_for(series, model, ladder, span, tested=(until - end) // series.step)

        try:
            done = await self._fits.fit(request, priority=Priority.PAST)
        except FitLost as lost:
            self._meter.fitted(ladder[lost.rung].forecaster, "lost", 0.0, reason=str(lost))
            return b""
        if done.rung >= 0:
            self._meter.fitted(ladder[done.rung].forecaster, "tested", done.cpu_seconds)
        return done.ranks
