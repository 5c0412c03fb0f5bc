"""From the engine's state to what the edge gets: snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.decision import Outlook, Snapshot, horizon, window
from scaler.decision.reading import level_of
from scaler.engine.state import BANDS, level_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecasting.forecast import Forecast
    from scaler.engine.state import ModelState, SeriesState, TriggerState
    from scaler.settings import Settings

__all__ = ["snapshot"]


def snapshot(series: SeriesState, trigger: TriggerState, *, now: float, settings: Settings) -> Snapshot:
    """All that is known of the trigger now."""
    model = series.models.get(trigger.model_key)
    outlook = _known_outlook(series, trigger, model, now=now, settings=settings)
    note = "the first fit is under way" if model is None else model.note()
    if not len(series.history):
        note = "no past of the load is known yet"
    if outlook is not None and outlook is trigger.recalled:
        note = "the forecast is from before the restart"
    if series.past_error:
        note = f"the past cannot be fetched: {series.past_error}"
    ahead = window(trigger.lead_time.seconds, settings.asking_delay, settings.timing_margin)
    return Snapshot(
        trigger=trigger.config.key.id,
        series=series.id,
        made_at=now,
        observed=series.observed,
        observed_at=series.observed_at,
        outlook=outlook,
        note=note,
        error=series.error,
        warning="; ".join(filter(None, (series.signal, series.warning, *_unknown(trigger)))),
        lead_time=trigger.lead_time.seconds,
        lead_time_origin=trigger.lead_time.origin,
        # the edge decides by this snapshot until it is too old
        events=trigger.agenda.ahead(series.history, now=now, until=now + ahead + settings.observed_max_age),
    )


def _unknown(trigger: TriggerState) -> Iterator[str]:
    """What keeps covariates from being known."""
    for number, one in enumerate(trigger.covariates, start=1):
        if one.past_error:
            yield f"covariate {number} cannot be fetched, so forecasts do without: {one.past_error}"


def _known_outlook(
    series: SeriesState, trigger: TriggerState, model: ModelState | None, *, now: float, settings: Settings
) -> Outlook | None:
    """The forecast half, made anew when something in it is; until there is a forecast, the store's while it is good."""
    forecast = None if model is None else model.forecast
    if model is None or forecast is None:
        recalled = trigger.recalled
        return recalled if recalled is not None and now - recalled.origin <= settings.forecast_max_age else None
    trigger.recalled = None
    made_of = forecast, trigger.judgement, trigger.lead_time, trigger.choice, trigger.offset
    if trigger.outlook is None or trigger.outlook_of != made_of:
        trigger.outlook, trigger.outlook_of = _outlook(series, trigger, model, forecast, settings), made_of
    return trigger.outlook


def _outlook(
    series: SeriesState, trigger: TriggerState, model: ModelState, forecast: Forecast, settings: Settings
) -> Outlook:
    quantile = trigger.quantile
    ahead = window(trigger.lead_time.seconds, settings.asking_delay, settings.timing_margin)
    steps = horizon(window=ahead, step=forecast.step, forecast_max_age=settings.forecast_max_age)
    steps = min(steps, forecast.horizon)
    within = min(horizon(window=ahead, step=forecast.step, forecast_max_age=0.0), steps)
    return Outlook(
        origin=forecast.origin,
        step=forecast.step,
        forecaster=model.rung,
        quantile=quantile,
        choice=trigger.choice.words if trigger.choice else "",
        level=level_of(trigger.offset, quantile),
        peak=tuple(trigger.peak(forecast)[:steps].tolist()),
        bands={f"{level:g}": float(forecast.peak[level_row(forecast, level), within - 1]) for level in BANDS},
        fitted_at=model.fitted_at,
        highest=series.history.highest(trigger.window + 1),
        explanation=getattr(model.fitted, "explanation", ""),
        trusted=trigger.judgement.trusted,
        verdict=trigger.judgement.verdict,
        gain=trigger.judgement.gain,
        coverage=trigger.judgement.coverage,
    )
