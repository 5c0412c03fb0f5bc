"""Which samples of a series a model is fitted to, now and looking back; and the request that has it done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.engine.alignment import lives_tested, longest_period, train_end
from scaler.engine.beside import encoded, with_covariates
from scaler.engine.messages import FitRequest, Rung
from scaler.engine.state import BANDS
from scaler.engine.timetable import spread
from scaler.events.agenda import without_events
from scaler.local_calendar import with_calendar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.engine.state import ModelKey, ModelState, SeriesState

__all__ = ["Span", "earlier_ends", "latest_span", "request_for", "span_ending"]

Span = tuple[int, int]
"""Times of the first and the last sample of a fit, epoch seconds."""


def span_ending(series: SeriesState, key: ModelKey, end: int) -> Span:
    """The span of the fit that ends there: one history window, or what is known of it."""
    return series.history.begin(since=end - key.window * series.step), end


def latest_span(series: SeriesState, key: ModelKey, *, refit_every: float) -> Span:
    """The span of a fit now."""
    return span_ending(series, key, _end_before(series, key, series.history.end, refit_every))


def earlier_ends(series: SeriesState, key: ModelKey, end: int, *, refit_every: float) -> list[int]:
    """The ends of the fits before the one that ends there which are looked back on, the newest first."""
    longest = longest_period(refit_every=refit_every, window=key.window, step=series.step)
    ends: list[int] = []
    for _ in range(lives_tested(longest=longest, step=series.step)):
        before = _end_before(series, key, end - series.step, refit_every)
        if not series.history.begin() < before < end:
            break
        ends.append(before)
        end = before
    return ends


def _end_before(series: SeriesState, key: ModelKey, latest: int, refit_every: float) -> int:
    return train_end(
        begin=series.history.begin(),
        end=latest,
        step=series.step,
        window=key.window,
        longest=longest_period(refit_every=refit_every, window=key.window, step=series.step),
        phase=spread(series.id),
    )


def request_for(
    series: SeriesState, model: ModelState, ladder: Sequence[Rung], span: Span, *, tested: int = 0, known: bytes = b""
) -> FitRequest:
    """What a worker is asked for.

    Args:
        series: Where the samples are.
        model: What is fitted.
        ladder: With which forecasters.
        span: To what, and on which the test is, if there is one.
        tested: Samples at the end of the span that are for a test, see `FitRequest`.
        known: The forecaster that is tested on them; none: the one fitted to those before.
    """
    first, last = span
    key, past = model.key, series.history.last().until(last)
    past = past.last((last - first) // series.step + 1)
    past = without_events(past, series.agendas(key))
    values, beside = encoded(with_covariates(past, series.beside(key)))
    return FitRequest(
        ladder=[_following(rung, key) for rung in ladder],
        start=past.start,
        step=past.step,
        values=values,
        horizon=key.horizon,
        levels=list(BANDS),  # the same whichever levels its triggers ask for
        aim=key.aim if known or not tested else None,
        before=model.choice.quantile if model.choice else None,
        tested=tested,
        known=known,
        steps=key.steps,
        window=key.window,
        covariates=beside,
    )


def _following(rung: Rung, key: ModelKey) -> Rung:
    """The rung; a method that follows clocks and holidays is told whose, unless that is said already."""
    told = with_calendar(rung.forecaster, rung.parameters, time_zone=key.time_zone, holidays=key.holidays)
    return Rung(rung.forecaster, told) if told != rung.parameters else rung
