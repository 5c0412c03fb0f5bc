"""What the engine holds of series, models and triggers. Changed only by the engine's own loop."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from forecasting.adaptive import offset_after
from forecasting.premium import CHOICES, ENOUGH, allowed, beyond_median, highest_level, level_within
from scaler.decision import horizon
from scaler.decision.gate import GateState, Judgement, keeps_promise
from scaler.decision.lead_time import LeadTime, given, is_measured, not_measured
from scaler.decision.reading import levels_for, rule_for, weights_at
from scaler.events.agenda import Agenda
from scaler.policy import policy_of
from scaler.replay.aim import Aim, Choice

if TYPE_CHECKING:
    from forecasting.forecast import Forecast
    from forecasting.series import FloatArray
    from scaler.decision import Outlook, Snapshot
    from scaler.engine.history import History
    from scaler.engine.outsiders import Held
    from scaler.events import Event
    from scaler.settings import Settings
    from scaler.sources.base import MetricSource
    from scaler.trigger import TriggerConfig

__all__ = ["BANDS", "ModelKey", "ModelState", "SeriesState", "TriggerState", "level_row"]

BANDS = (0.5, 0.9, 0.95, 0.99)
"""Quantile levels that are always forecast, for people and metrics, beside those that triggers ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKey:
    """All that a fit depends on beside the samples: triggers of one series that agree on it share the model.

    Nothing here depends on which other triggers there are: a replica may not have seen those yet.

    Attributes:
        forecaster: The one asked for.
        parameters: Its parameters, as texts.
        window: Steps of history that it is fitted to.
        horizon: Steps that it forecasts,
        steps: and those of a decision's window, whose peak counts.
        time_zone: Whose clocks the load follows,
        holidays: and whose holidays.
        events: What is announced, and so not to be learned.
        covariates: Ids of the series that it looks at beside the load's own.
        aim: What the quantile is chosen for; None: it is given.
    """

    forecaster: str
    parameters: tuple[tuple[str, str], ...] = ()
    window: int = 0
    horizon: int = 1
    steps: int = 1
    time_zone: str = "UTC"
    holidays: str = ""
    events: tuple[Event, ...] = ()
    covariates: tuple[str, ...] = ()
    aim: Aim | None = None

    @property
    def stored_name(self) -> str:
        """What the store calls the model."""
        name = self.forecaster + "".join(f";{key}={value}" for key, value in self.parameters)
        name += f";window={self.window};horizon={self.horizon};steps={self.steps};zone={self.time_zone}"
        if self.holidays:
            name += f";holidays={self.holidays}"
        for what, value in (("events", self.events), ("covariates", self.covariates), ("aim", self.aim)):
            if value:
                name += f";{what}={hashlib.blake2b(msgspec.msgpack.encode(value), digest_size=8).hexdigest()}"
        return name


@dataclass(slots=True, kw_only=True)
class TriggerState:
    """One registered trigger."""

    config: TriggerConfig
    called_at: float
    agenda: Agenda = field(default_factory=Agenda)  # its announced events
    covariates: tuple[SeriesState, ...] = ()  # the series beside its own
    gate: GateState = field(default_factory=GateState)  # how its forecasts have done
    judgement: Judgement = field(default_factory=Judgement)  # what that comes to
    lead_time: LeadTime = field(init=False)  # the one in force
    lead_time_measured: LeadTime | None = None  # the last one that was measured
    measure_at: float = 0.0  # epoch seconds; only if it is measured
    recalled: Outlook | None = None  # of before a restart, until there is a forecast
    outlook: Outlook | None = None  # the newest
    outlook_of: tuple[object, ...] = ()  # what that was made of
    kept: tuple[Snapshot | None, float] = (
        None,
        0.0,
    )  # its newest snapshot in the store, and since when (epoch seconds)
    offset: float = 0.0  # by how much its forecasts are read higher, in log-odds, than promised
    choice: Choice | None = None  # the quantile that was chosen; None: nothing yet, or it is given
    # by which premiums, over how many steps, up to which quantile; and what
    bought: tuple[tuple[FloatArray, int, float], Choice] | None = None
    # the lead time that counts, and the model that is wanted for it
    ahead: tuple[LeadTime | None, ModelKey] = (None, ModelKey(forecaster=""))

    def __post_init__(self) -> None:
        seconds = self.config.lead_time
        self.lead_time = given(seconds) if seconds is not None else not_measured("that is under way")

    def recall_lead_time(self, seconds: float | None, origin: str) -> None:
        """What was measured before a restart stands until it is measured anew."""
        if self.config.lead_time is None and seconds is not None and is_measured(origin):
            self.lead_time = self.lead_time_measured = LeadTime(seconds, origin)

    @property
    def model_key(self) -> ModelKey:
        """Which model of the series it uses; after `look_ahead`."""
        return self.ahead[1]

    @property
    def quantile(self) -> float:
        """The quantile in force: given, or chosen."""
        return self.config.effective_quantile if self.choice is None else self.choice.quantile

    @property
    def drifted(self) -> bool:
        """Whether the load is no longer the one that its forecasts were fitted to, by the gate's evidence.

        They cost more than they avoid, or are exceeded far more often than promised.
        """
        coverage = self.judgement.coverage
        return not self.judgement.trusted or (coverage is not None and not keeps_promise(coverage, self.quantile))

    @property
    def window(self) -> int:
        """Steps of history that count for it."""
        return int(self.config.history_window // self.config.step)

    def peak(self, forecast: Forecast) -> FloatArray:
        """The forecast's peak at the corrected level; shape (horizon,)."""
        rows = [forecast.peak[level_row(forecast, level)] for level in levels_for(self.quantile)]
        parts = zip(weights_at(self.offset, self.quantile), rows, strict=True)
        return np.asarray(np.sum([weight * row for weight, row in parts if weight], axis=0))

    def look_ahead(self, settings: Settings) -> None:
        """Settles how far its model must forecast, and for what: anew only with another lead time."""
        if self.ahead[0] == self.lead_time:
            return
        config, allowed = self.config, self.config.slo_shortfall
        policy = policy_of(config, settings, lead_time=self.lead_time.seconds)
        key = ModelKey(
            forecaster=config.forecaster,
            parameters=config.forecaster_parameters,
            window=self.window,
            horizon=horizon(window=policy.window, step=config.step, forecast_max_age=settings.forecast_max_age),
            steps=horizon(window=policy.window, step=config.step, forecast_max_age=0.0),
            time_zone=config.time_zone,
            holidays=config.holidays,
            events=self.agenda.events,
            covariates=tuple(one.id for one in self.covariates),
            aim=None if allowed is None else Aim(allowed, msgspec.structs.replace(policy, observe_only=False)),
        )
        self.ahead = self.lead_time, key

    def follow(self, model: ModelState) -> None:
        """Takes up the quantile that was chosen with the model's fit, and how the model's forecasts must be read."""
        self.choice = model.choice
        if self.config.spends_premium and model.premiums is not None:
            by = model.premiums, self.model_key.steps, highest_level(self.lead_time.seconds)
            if self.bought is None or self.bought[0][0] is not by[0] or self.bought[0][1:] != by[1:]:
                self.bought = by, _bought(self.config.premium, *by)
            self.choice = self.bought[1]
        self.offset = model.offset(self.quantile)


@dataclass(slots=True, kw_only=True)
class ModelState:
    """One forecaster on one series."""

    key: ModelKey
    rung: str = ""  # the forecaster in use: the one asked for, or one further down the ladder
    fitted: Held | None = None
    fitted_at: float = 0.0
    trained: int = 0  # time of the last sample that it was fitted to
    choice: Choice | None = None  # the quantile that was chosen with the fit
    lives: dict[int, bytes] = field(default_factory=dict)  # by the end of a fit, the ranks of what came until the next
    offsets: dict[float, float] = field(default_factory=dict)  # what that teaches, by quantile
    premiums: FloatArray | None = None  # what its forecasts add to the load, see forecasting.premium
    testing: bool = False
    forecast: Forecast | None = None
    failures: tuple[str, ...] = ()  # why the rungs above were passed, or why there is no model at all
    fitting: bool = False
    waits: str = ""  # why a fit that is due is not made yet
    tried: tuple[int, int] = (0, 0)  # times of the first and the last sample of the last fit, whatever came of it
    tried_at: float = 0.0  # epoch seconds of that fit
    banned: dict[str, tuple[float, int]] = field(default_factory=dict)  # rung -> until when, and how often so far

    def learn(self, lives: dict[int, bytes]) -> None:
        """Takes up what fits before this one have earned."""
        self.lives, self.offsets = lives, {}

    def offset(self, quantile: float) -> float:
        """The correction that this teaches for the quantile."""
        if quantile not in self.offsets:
            ranks = b"".join(self.lives[end] for end in sorted(self.lives))
            seen = np.frombuffer(ranks, dtype="<u2")
            self.offsets[quantile] = offset_after(seen, rule_for(quantile), steps=self.key.steps)
        return self.offsets[quantile]

    def note(self) -> str:
        """Why the forecast is not what was asked for, in words; "" if it is."""
        if self.fitted is None and self.waits:
            return self.waits
        if self.fitted is None:
            # what the forecaster asked for lacks, not its last stand-in: there may be none of that name
            return self.failures[0] if self.failures else "the first fit is under way"
        if self.forecast is None and self.failures:
            return self.failures[-1]
        if self.rung != self.key.forecaster:
            return f"{self.failures[0]}: {self.rung} stands in" if self.failures else f"{self.rung} stands in"
        return ""


@dataclass(slots=True, kw_only=True)
class SeriesState:
    """One distinct series: what one query to one source gives, whoever asked for it."""

    id: str
    query: str  # as it is sent: with the matchers of its namespace in it
    step: int
    source: MetricSource
    source_label: str  # which source it is, shared by all series that come from it
    history: History
    matchers: tuple[tuple[str, str], ...] = ()  # that every query of it gets
    tenant: str = ""  # whose it is: of the trigger that came first; "" where there are none
    triggers: dict[str, TriggerState] = field(default_factory=dict)
    models: dict[ModelKey, ModelState] = field(default_factory=dict)
    observed: float | None = None
    observed_at: float = 0.0
    error: str = ""  # of the last look at the newest value
    past_error: str = ""  # of the last attempt to fetch what came before it
    past_failures: int = 0  # such attempts in a row
    asked_from: int | None = None  # the earliest time that the source was asked about since this engine began
    signal: str = ""  # what is odd about the query itself
    warning: str = ""
    loaded: bool = False  # the store was asked for its past

    @property
    def namespaces(self) -> set[str]:
        """Of the triggers that use it."""
        return {trigger.config.namespace_of_object for trigger in self.triggers.values()}

    def levels(self, key: ModelKey) -> tuple[float, ...]:
        """Quantile levels that the model must forecast for the triggers that use it."""
        asked = (levels_for(t.quantile) for t in self.triggers.values() if t.model_key == key)
        return tuple(sorted({*BANDS, *chain.from_iterable(asked)}))

    def agendas(self, key: ModelKey) -> list[Agenda]:
        """The announced events of the triggers that use the model: the same for all, so those of one."""
        return next(([t.agenda] for t in self.triggers.values() if t.model_key == key), [])

    def beside(self, key: ModelKey) -> list[History]:
        """The covariates of the triggers that use the model: the same for all, so those of one."""
        triggers = (t for t in self.triggers.values() if t.model_key == key)
        return next(([one.history for one in trigger.covariates] for trigger in triggers), [])


def _bought(premium: float, found: FloatArray, steps: int, highest: float) -> Choice:
    """The quantile that a premium buys."""
    level = level_within(found, premium, steps=steps, highest=highest)
    row, step = CHOICES.index(level), min(steps, found.shape[2]) - 1
    adds, may = float(beyond_median(found[0, :, step])[row]), allowed(level, premium)
    words = f"chosen: it adds {100 * adds:.0f} % on average to what the median asks for, of {100 * may:.0f} % it may"
    if found[1, row, step] <= ENOUGH:
        words += f", and no more than {100 * ENOUGH:.2g} % of the load is expected above it"
    elif level == highest < CHOICES[-1]:
        words += "; with so short a lead time none is higher"
    return Choice(level, words)


def level_row(forecast: Forecast, level: float) -> int:
    """The row of the level; of the next higher one if another trigger's levels were forecast."""
    return min(bisect_left(forecast.levels, level - 1e-9), len(forecast.levels) - 1)
