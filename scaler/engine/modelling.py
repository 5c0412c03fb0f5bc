"""Models of one series: fitted in the pool, kept in the store, asked for a forecast at every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from forecasting.errors import ForecastError, InvalidForecast, InvalidParameter, InvalidState
from forecasting.premium import CHOICES
from scaler.engine.aside import Aside
from scaler.engine.beside import with_covariates
from scaler.engine.fits import FitLost, Priority
from scaler.engine.ladder import ban, is_due, rungs
from scaler.engine.messages import About
from scaler.engine.outsiders import Outsider, about_of, bytes_of, forecast_of, held, is_answered, request_of
from scaler.engine.probation import Ask, all_predicted
from scaler.engine.spans import earlier_ends, latest_span, request_for, span_ending
from scaler.engine.state import ModelKey, ModelState
from scaler.engine.trials import Trials
from scaler.events.agenda import without_events
from scaler.replay.aim import Choice
from scaler.store.base import StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from forecasting.forecast import Forecast
    from forecasting.series import FloatArray, TimeSeries
    from scaler.engine.fits import Fits, Forecasts
    from scaler.engine.messages import FitDone, FitRequest, Rung
    from scaler.engine.meter import Meter
    from scaler.engine.outsiders import Held
    from scaler.engine.persistence import Persistence
    from scaler.engine.spans import Span
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
        outside: Forecasts,
        persistence: Persistence,
        forecasters: tuple[str, ...],
        settings: Settings,
        clock: Callable[[], float],
        meter: Meter,
        ledger: Ledger | None = None,
    ) -> None:
        """Args:
        fits: The pool.
        outside: Where plug-ins are asked for their forecasts.
        persistence: Where fitted models are kept.
        forecasters: Names that the registry has.
        settings: How often to fit, and how far ahead.
        clock: Epoch seconds.
        meter: Told of every fit.
        ledger: How many fits namespaces may have; None: any number.
        """
        self._ledger = ledger
        self._fits = fits
        self._outside = outside
        self._aside = Aside()
        self._persistence = persistence
        self._forecasters = forecasters
        self._settings = settings
        self._clock = clock
        self._meter = meter
        self._trials = Trials(
            fits=fits,
            forecasters=forecasters,
            refit_every=settings.refit_every,
            clock=clock,
            meter=meter,
            ledger=ledger,
        )

    @property
    def fits_waiting(self) -> int:
        """Fits in the queue."""
        return self._fits.waiting

    @property
    def spent_aside(self) -> float:
        """CPU seconds that `forecast_aside` has taken beside the loop."""
        return self._aside.spent

    def close(self) -> None:
        """Ends the thread that forecasts are computed in, once it has nothing to do."""
        self._aside.close()

    def attach(self, series: SeriesState) -> None:
        """Gives every trigger of the series its model, and lets go of those that no trigger uses any more."""
        for trigger in series.triggers.values():
            trigger.look_ahead(self._settings)
        used = {trigger.model_key for trigger in series.triggers.values()}
        series.models = {key: series.models.get(key) or _successor(key, series.models) for key in used}
        for trigger in series.triggers.values():
            trigger.follow(series.models[trigger.model_key])

    async def recall(self, series: SeriesState) -> None:
        """Takes up the models that the store has kept."""
        self.attach(series)
        for model in list(series.models.values()):
            stored = await self._persistence.model(series.id, model.key.stored_name)
            if stored is None or model.fitted is not None:
                continue
            try:
                kept = msgspec.msgpack.decode(stored.data, type=Kept)
                model.fitted = held(kept.rung, kept.data, kept.about)
            except (msgspec.MsgspecError, UnicodeDecodeError, InvalidState):
                continue  # written by another version: it is fitted anew
            model.rung, model.fitted_at, model.choice = kept.rung, stored.fitted_at, kept.choice
            model.premiums = _table(kept.premiums, kept.levels)
            model.tried_at = stored.fitted_at
            model.tried = span_ending(series, model.key, stored.train_end)
            model.trained = stored.train_end
            model.learn(dict(kept.lives))

    def forecast(self, *of: SeriesState) -> None:
        """Forecasts anew from the newest history of these series, with every model of theirs that is ours."""
        asked = self._asked(of)
        for one, found in zip(asked, all_predicted([one.ask for one in asked]), strict=True):
            self._take_up(one, found)

    async def forecast_aside(self, *of: SeriesState) -> None:
        """The same, computed beside the loop: what has changed meanwhile is not changed back."""
        asked = self._asked(of)
        asks = [one.ask for one in asked]
        for one, found in zip(asked, await self._aside.run(partial(all_predicted, asks)), strict=True):
            if one.still_asked:
                self._take_up(one, found)

    def _asked(self, of: Sequence[SeriesState]) -> list[_Asked]:
        """What the models of these series are asked."""
        asked: list[_Asked] = []
        for series in of:
            self.attach(series)
            for model in series.models.values():
                if model.fitted is None or isinstance(model.fitted, Outsider) or not len(series.history):
                    continue
                try:
                    past = _seen(series, model.key, model.fitted.context_length)
                except Exception as error:  # noqa: BLE001  # whatever it is, the load is served without this forecast
                    self._no_forecast(model, error)
                else:
                    ask = Ask(model.fitted, model.rung, past, model.key.horizon, series.levels(model.key))
                    asked.append(_Asked(series, model, ask, model.forecast))
        return asked

    def _take_up(self, one: _Asked, found: Forecast | Exception) -> None:
        if isinstance(found, Exception):
            self._no_forecast(one.model, found)
        else:
            one.model.forecast = found

    async def forecast_outside(self, series: SeriesState) -> None:
        """The same with those that others brought: in a worker, which is killed if it takes too long."""
        self.attach(series)
        for model in list(series.models.values()):
            fitted = model.fitted
            if not isinstance(fitted, Outsider) or not len(series.history):
                continue
            past, levels = _seen(series, model.key, fitted.context_length), series.levels(model.key)
            request = request_of(model.rung, fitted, past, horizon=model.key.horizon, levels=levels)
            if is_answered(request, model.forecast):
                continue
            try:
                found = forecast_of(request, await self._outside.forecast(request))
            except (FitLost, ForecastError) as error:
                if model.fitted is fitted:  # else another one came meanwhile
                    self._no_forecast(model, error)
            else:
                if model.fitted is fitted:
                    model.forecast = found

    def _no_forecast(self, model: ModelState, error: Exception) -> None:
        if isinstance(error, (InvalidParameter, InvalidState)):
            # it was fitted on top of a trained model that this process has not, or has a part that another version has
            # written, which is found out when it is first asked: fitted anew, it will have another
            model.fitted, model.forecast, model.failures, model.tried = None, None, (str(error),), (0, 0)
        elif isinstance(error, (InvalidForecast, FitLost)):
            self._set_aside(model, model.rung, str(error))
        elif isinstance(error, ForecastError):
            model.forecast, model.failures = None, (str(error),)
        else:
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
        await self.forecast_outside(series)
        self.forecast(series)

    def _due(self, series: SeriesState, model: ModelState) -> bool:
        if model.fitting or not len(series.history) or not series.triggers:
            return False
        due = is_due(model, self._span(series, model), now=self._clock())
        if due and self._ledger is not None and not self._ledger.may_fit(series.namespaces):
            model.waits = "its namespace has had as many fits within an hour as its quota namespace_fits allows"
            return False
        return due

    def _span(self, series: SeriesState, model: ModelState) -> Span:
        return latest_span(series, model.key, refit_every=self._settings.refit_every)

    async def _fit(self, series: SeriesState, model: ModelState) -> None:
        model.tried, model.tried_at = self._span(series, model), self._clock()
        ladder = rungs(model, known=self._forecasters, now=self._clock())
        if not ladder:
            return
        tested = 0

        def request() -> FitRequest:
            nonlocal tested
            model.tried = self._span(series, model)  # by now, for it may have waited for long
            tested = self._new_for(series, model)
            known = bytes_of(model.fitted) if tested and model.fitted is not None else b""
            return request_for(series, model, ladder, model.tried, tested=tested, known=known)

        model.fitting, model.waits = True, ""
        if self._ledger is not None:
            self._ledger.fitted(series.namespaces)
        try:
            done = await self._fits.fit(request, priority=_priority(series, model))
        except FitLost as lost:
            name = ladder[lost.rung].forecaster
            self._meter.fitted(name, "lost", 0.0, reason=str(lost))
            self._set_aside(model, name, str(lost))
        else:
            if tested and done.rung >= 0:
                model.learn({**model.lives, model.trained: done.ranks})
            await self._take(series, model, done, ladder)
        finally:
            model.fitting = False

    def _new_for(self, series: SeriesState, model: ModelState) -> int:
        """Samples that the model in use can be tested on when it is fitted anew: those since its own fit."""
        ends = earlier_ends(series, model.key, model.tried[1], refit_every=self._settings.refit_every)
        fits = model.fitted is not None and ends and ends[0] == model.trained
        return (model.tried[1] - model.trained) // series.step if fits else 0

    def trials_due(self, series: SeriesState) -> bool:
        """Whether fits of before this engine began are to be tested."""
        return self._trials.due(series)

    async def look_back(self, series: SeriesState) -> None:
        """Tests the fits of before this engine began, and keeps what that teaches."""
        for model in await self._trials.run(series):
            if model.fitted is not None:
                await self._keep(series, model, model.fitted)
        self.attach(series)

    async def _take(self, series: SeriesState, model: ModelState, done: FitDone, ladder: list[Rung]) -> None:
        """Makes the fitted forecaster the one in use."""
        for rung, failure in zip(ladder, done.failures, strict=False):  # the rungs that were climbed down
            self._meter.fitted(rung.forecaster, "failed", 0.0, reason=failure)
        # what a lost fit or a failed prediction left is still the reason why a stand-in is in use
        rested = model.failures if any(until > self._clock() for until, _ in model.banned.values()) else ()
        model.failures = (*rested[:1], *done.failures)
        if done.rung < 0:
            return
        name, now = ladder[done.rung].forecaster, self._clock()
        model.fitted, model.rung, model.fitted_at = held(name, done.data, done.about), name, now
        model.choice, model.trained = done.choice or model.choice, model.tried[1]
        model.premiums = _table(done.premiums, CHOICES)
        self._trials.passed(series, model)
        self._meter.fitted(name, "fitted", done.cpu_seconds)
        await self._keep(series, model, model.fitted)

    async def _keep(self, series: SeriesState, model: ModelState, fitted: Held) -> None:
        added = [] if model.premiums is None else model.premiums.tolist()
        told = about_of(fitted)
        lives = sorted(model.lives.items())
        kept = Kept(model.rung, bytes_of(fitted), model.choice, lives, added, told, CHOICES if added else ())
        stored = StoredModel(model.key.stored_name, msgspec.msgpack.encode(kept), model.trained, model.fitted_at)
        await self._persistence.put_model(series.id, stored)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A model that is asked for a forecast.

    Attributes:
        series: Whose model it is.
        model: The model.
        ask: What it is asked.
        before: The forecast that it has.
    """

    series: SeriesState
    model: ModelState
    ask: Ask
    before: Forecast | None

    @property
    def still_asked(self) -> bool:
        """Whether nothing has come in between: another fit or forecast, a trigger that needs other levels."""
        same = self.model.fitted is self.ask.fitted and self.model.forecast is self.before
        return same and self.series.levels(self.model.key) == self.ask.levels


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A model as the store keeps it: which rung it is, its bytes, the quantile chosen with it, and what came before.

    `lives`: of the fits before it, the end and the ranks earned until the next. `premiums`: what its forecasts add
    at each of `levels`.
    """

    rung: str
    data: bytes
    choice: Choice | None = None
    lives: list[tuple[int, bytes]] = []
    premiums: list[list[list[float]]] = []
    about: About | None = None  # only of plug-ins
    levels: tuple[float, ...] = ()


def _seen(series: SeriesState, key: ModelKey, length: int) -> TimeSeries:
    """The past that a forecast looks at."""
    past = series.history.last(min(length, key.window + 1))
    return with_covariates(without_events(past, series.agendas(key), finished=True), series.beside(key))


def _table(found: list[list[list[float]]], levels: tuple[float, ...]) -> FloatArray | None:
    # one of another version is of other levels
    return np.array(found) if levels == CHOICES and [len(part) for part in found] == 2 * [len(CHOICES)] else None


def _priority(series: SeriesState, model: ModelState) -> Priority:
    """How urgent a fit is."""
    if model.fitted is None:
        return Priority.NEW
    drifted = any(t.drifted for t in series.triggers.values() if t.model_key == model.key)
    return Priority.DRIFTED if drifted else Priority.STALE


def _successor(key: ModelKey, models: Mapping[ModelKey, ModelState]) -> ModelState:
    """A model for the key: until it is fitted, one that only looked less or further ahead, or aimed elsewhere."""
    for other, model in models.items():
        if replace(other, horizon=key.horizon, steps=key.steps, aim=key.aim) == key and model.fitted is not None:
            stand_in = ModelState(key=key, rung=model.rung, fitted=model.fitted, fitted_at=model.fitted_at)
            stand_in.choice, stand_in.premiums = model.choice if key.aim else None, model.premiums
            return stand_in
    return ModelState(key=key)
