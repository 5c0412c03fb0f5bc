"""Models of one series: fitted in the pool, kept in the store, asked for a forecast at every step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from forecasting.errors import ForecastError, InvalidForecast, InvalidParameter, InvalidState
from forecasting.serialise import loads
from scaler.engine.agenda import without_events
from scaler.engine.alignment import longest_period, train_end
from scaler.engine.fits import FitLost, Priority
from scaler.engine.ladder import ban, is_due, rungs
from scaler.engine.messages import FitRequest
from scaler.engine.probation import predicted
from scaler.engine.state import BANDS, ModelKey, ModelState
from scaler.engine.timetable import spread
from scaler.store.base import StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from scaler.engine.fits import Fits
    from scaler.engine.messages import FitDone, Rung
    from scaler.engine.meter import Meter
    from scaler.engine.persistence import Persistence
    from scaler.engine.state import SeriesState
    from scaler.settings import Settings
    from scaler.tenancy.ledger import Ledger

__all__ = ["Kept", "Modelling"]


class Modelling:
    """Everything between a series' history and its forecasts."""

    def __init__(
        self,
        *,
        fits: Fits,
        persistence: Persistence,
        forecasters: tuple[str, ...],
        settings: Settings,
        clock: Callable[[], float],
        meter: Meter,
        ledger: Ledger | None = None,
    ) -> None:
        """Args:
        fits: The pool.
        persistence: Where fitted models are kept.
        forecasters: Names that the registry has.
        settings: How often to fit, and how far ahead.
        clock: Epoch seconds.
        meter: Told of every fit.
        ledger: How many fits namespaces may have; None: any number.
        """
        self._ledger = ledger
        self._fits = fits
        self._persistence = persistence
        self._forecasters = forecasters
        self._settings = settings
        self._clock = clock
        self._meter = meter

    @property
    def fits_waiting(self) -> int:
        """Fits in the queue."""
        return self._fits.waiting

    def attach(self, series: SeriesState) -> None:
        """Gives every trigger of the series its model, and lets go of those that no trigger uses any more."""
        for trigger in series.triggers.values():
            trigger.look_ahead(
                asking_delay=self._settings.asking_delay, forecast_max_age=self._settings.forecast_max_age
            )
        used = {trigger.model_key for trigger in series.triggers.values()}
        series.models = {key: series.models.get(key) or _successor(key, series.models) for key in used}

    async def recall(self, series: SeriesState) -> None:
        """Takes up the models that the store has kept."""
        self.attach(series)
        for model in list(series.models.values()):
            stored = await self._persistence.model(series.id, model.key.stored_name)
            if stored is None or model.fitted is not None:
                continue
            try:
                kept = msgspec.msgpack.decode(stored.data, type=Kept)
                model.fitted = loads(kept.data)
            except (msgspec.MsgspecError, InvalidState):
                continue  # written by another version: it is fitted anew
            model.rung, model.fitted_at = kept.rung, stored.fitted_at
            model.tried_at = stored.fitted_at
            model.tried = _training(series, model.key, stored.train_end)

    def forecast(self, series: SeriesState) -> None:
        """Forecasts anew from the newest history, with every model of the series."""
        self.attach(series)
        for model in series.models.values():
            if model.fitted is None or not len(series.history):
                continue
            try:
                past = series.history.last(min(model.fitted.context_length, model.key.window + 1))
                model.forecast = predicted(
                    model.fitted,
                    without_events(past, series.agendas(model.key), finished=True),
                    name=model.rung,
                    horizon=model.key.horizon,
                    levels=series.levels(model.key),
                )
            except InvalidParameter as error:
                # it was fitted on top of a trained model that this process has not: fitted anew, it will have another
                model.fitted, model.forecast, model.failures, model.tried = None, None, (str(error),), (0, 0)
            except InvalidForecast as error:
                self._set_aside(model, model.rung, str(error))
            except ForecastError as error:
                model.forecast, model.failures = None, (str(error),)
            except Exception as error:  # noqa: BLE001  # a plug-in may raise anything: the load is served without it
                self._set_aside(model, model.rung, f"{model.rung} failed to predict: {type(error).__name__}: {error}")

    def lacks_forecast(self, series: SeriesState) -> bool:
        """Whether a model of the series has not been asked for one yet."""
        return any(m.fitted is not None and m.forecast is None and not m.failures for m in series.models.values())

    def _set_aside(self, model: ModelState, rung: str, failure: str) -> None:
        """Lets a forecaster rest that hung, crashed or raised; the rungs below it are tried at once."""
        ban(model, rung, now=self._clock())
        model.failures, model.tried = (failure,), (0, 0)
        if model.rung == rung:
            model.fitted, model.forecast = None, None

    def renew(self, series: SeriesState, forecasters: Collection[str]) -> None:
        """Has the models of these forecasters fitted anew: what they build on has been replaced."""
        for model in series.models.values():
            if model.key.forecaster in forecasters:
                model.tried = (0, 0)

    def fit_is_due(self, series: SeriesState) -> bool:
        """Whether a model of the series should be fitted now."""
        return any(self._due(series, model) for model in series.models.values())

    async def fit_due(self, series: SeriesState) -> None:
        """Fits the models of the series that are due, and forecasts with them."""
        for model in list(series.models.values()):
            while self._due(series, model):
                await self._fit(series, model)
        self.forecast(series)

    def _due(self, series: SeriesState, model: ModelState) -> bool:
        if model.fitting or not len(series.history) or not series.triggers:
            return False
        due = is_due(model, self._span(series, model.key), now=self._clock())
        if due and self._ledger is not None and not self._ledger.may_fit(series.namespaces):
            model.waits = "its namespace has had as many fits within an hour as its quota namespace_fits allows"
            return False
        return due

    def _span(self, series: SeriesState, key: ModelKey) -> tuple[int, int]:
        """Times of the first and the last sample that a fit now is made to."""
        history = series.history
        end = train_end(
            begin=history.begin(),
            end=history.end,
            step=series.step,
            window=key.window,
            longest=longest_period(refit_every=self._settings.refit_every, window=key.window, step=series.step),
            phase=spread(series.id),
        )
        return _training(series, key, end)

    async def _fit(self, series: SeriesState, model: ModelState) -> None:
        model.tried, model.tried_at = self._span(series, model.key), self._clock()
        ladder = rungs(model, known=self._forecasters, now=self._clock())
        if not ladder:
            return

        def request() -> FitRequest:
            model.tried = first, last = self._span(series, model.key)  # by now, for it may have waited for long
            past = series.history.last().until(last)
            past = past.last((last - first) // series.step + 1)
            return FitRequest(
                ladder=ladder,
                start=past.start,
                step=past.step,
                values=without_events(past, series.agendas(model.key)).values.astype("<f8").tobytes(),
                horizon=model.key.horizon,
                levels=list(BANDS),  # the same whichever levels its triggers ask for
            )

        model.fitting, model.waits = True, ""
        if self._ledger is not None:
            self._ledger.fitted(series.namespaces)
        try:
            done = await self._fits.fit(request, priority=Priority.STALE if model.fitted else Priority.NEW)
        except FitLost as lost:
            name = ladder[lost.rung].forecaster
            self._meter.fitted(name, "lost", 0.0)
            self._set_aside(model, name, str(lost))
        else:
            await self._take(series, model, done, ladder)
        finally:
            model.fitting = False

    async def _take(self, series: SeriesState, model: ModelState, done: FitDone, ladder: list[Rung]) -> None:
        """Makes the fitted forecaster the one in use."""
        for rung in ladder[: len(done.failures)]:
            self._meter.fitted(rung.forecaster, "failed", 0.0)
        # what a lost fit or a failed prediction left is still the reason why a stand-in is in use
        rested = model.failures if any(until > self._clock() for until, _ in model.banned.values()) else ()
        model.failures = (*rested[:1], *done.failures)
        if done.rung < 0:
            return
        name, now = ladder[done.rung].forecaster, self._clock()
        model.fitted, model.rung, model.fitted_at = loads(done.data), name, now
        self._meter.fitted(name, "fitted", done.cpu_seconds)
        kept = msgspec.msgpack.encode(Kept(name, done.data))
        await self._persistence.put_model(series.id, StoredModel(model.key.stored_name, kept, model.tried[1], now))


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A model as the store keeps it: which rung it is, and its bytes."""

    rung: str
    data: bytes


def _training(series: SeriesState, key: ModelKey, end: int) -> tuple[int, int]:
    """Times of the first and the last sample of a fit that ends there."""
    return series.history.begin(since=end - key.window * series.step), end


def _successor(key: ModelKey, models: Mapping[ModelKey, ModelState]) -> ModelState:
    """A model for the key: until it is fitted, one that only looked less or further ahead stands in."""
    for other, model in models.items():
        if replace(other, horizon=key.horizon) == key and model.fitted is not None:
            return ModelState(key=key, rung=model.rung, fitted=model.fitted, fitted_at=model.fitted_at)
    return ModelState(key=key)
