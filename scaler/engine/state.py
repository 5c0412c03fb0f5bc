"""What the engine holds of series, models and triggers. Changed only by the engine's own loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from scaler.decision import horizon, window
from scaler.decision.gate import GateState, Judgement
from scaler.decision.lead_time import LeadTime, given, is_measured, not_measured
from scaler.engine.agenda import Agenda

if TYPE_CHECKING:
    from forecasting.forecast import Forecast
    from forecasting.forecaster import FittedForecaster
    from scaler.engine.history import History
    from scaler.sources.base import MetricSource
    from scaler.trigger import TriggerConfig

__all__ = ["BANDS", "ModelKey", "ModelState", "SeriesState", "TriggerState"]

BANDS = (0.5, 0.9, 0.95, 0.99)
"""Quantile levels that are always forecast, for people and metrics, beside those that triggers ask for."""

ModelKey: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""A forecaster's name and its parameters: triggers of one series that agree on both share the model."""


@dataclass(slots=True, kw_only=True)
class TriggerState:
    """One registered trigger."""

    config: TriggerConfig
    called_at: float
    agenda: Agenda = field(default_factory=Agenda)  # its announced events
    gate: GateState = field(default_factory=GateState)  # how its forecasts have done
    judgement: Judgement = field(default_factory=Judgement)  # what that comes to
    lead_time: LeadTime = field(init=False)  # the one in force
    lead_time_measured: LeadTime | None = None  # the last one that was measured
    measure_at: float = 0.0  # epoch seconds; only if it is measured

    def __post_init__(self) -> None:
        seconds = self.config.lead_time
        self.lead_time = given(seconds) if seconds is not None else not_measured("that is under way")

    def recall_lead_time(self, seconds: float | None, origin: str) -> None:
        """What was measured before a restart stands until it is measured anew."""
        if self.config.lead_time is None and seconds is not None and is_measured(origin):
            self.lead_time = self.lead_time_measured = LeadTime(seconds, origin)

    @property
    def model_key(self) -> ModelKey:
        """Which model of the series it uses."""
        return self.config.forecaster, self.config.forecaster_parameters


@dataclass(slots=True, kw_only=True)
class ModelState:
    """One forecaster on one series."""

    key: ModelKey
    rung: str = ""  # the forecaster in use: the one asked for, or one further down the ladder
    fitted: FittedForecaster | None = None
    fitted_at: float = 0.0
    forecast: Forecast | None = None
    failures: tuple[str, ...] = ()  # why the rungs above were passed, or why there is no model at all
    fitting: bool = False
    tried_with: int = 0  # known samples at the last fit
    tried_at: float = 0.0  # epoch seconds of the last fit, whatever came of it
    banned: dict[str, tuple[float, int]] = field(default_factory=dict)  # rung -> until when, and how often so far

    def note(self) -> str:
        """Why the forecast is not what was asked for, in words; "" if it is."""
        if self.fitted is None:
            return self.failures[-1] if self.failures else "the first fit is under way"
        if self.forecast is None and self.failures:
            return self.failures[-1]
        if self.rung != self.key[0]:
            return f"{self.failures[0]}: {self.rung} stands in" if self.failures else f"{self.rung} stands in"
        return ""


@dataclass(slots=True, kw_only=True)
class SeriesState:
    """One distinct series: what one query to one source gives, whoever asked for it."""

    id: str
    query: str
    step: int
    source: MetricSource
    source_label: str  # which source it is, shared by all series that come from it
    history: History
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

    def horizon(self, key: ModelKey, *, asking_delay: float, forecast_max_age: float) -> int:
        """Steps that the model must forecast for the triggers that use it."""
        windows = [window(t.lead_time.seconds, asking_delay) for t in self.triggers.values() if t.model_key == key]
        return horizon(window=max(windows, default=0.0), step=self.step, forecast_max_age=forecast_max_age)

    def levels(self, key: ModelKey) -> tuple[float, ...]:
        """Quantile levels that the model must forecast for the triggers that use it."""
        asked = (t.config.effective_quantile for t in self.triggers.values() if t.model_key == key)
        return tuple(sorted({*BANDS, *asked}))

    def agendas(self, key: ModelKey) -> list[Agenda]:
        """The announced events of the triggers that use the model."""
        return [t.agenda for t in self.triggers.values() if t.model_key == key]
