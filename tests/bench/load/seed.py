"""A store that knows a fleet's past and its models, as a server that has run for a week leaves it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from forecasting.registry import default_registry
from forecasting.serialise import dumps
from scaler.decision import horizon, window
from scaler.engine.modelling import Kept
from scaler.engine.process import STORE_FILE
from scaler.engine.state import BANDS
from scaler.store.base import StoredModel
from scaler.store.sqlite import SqliteStore
from tests.bench.load.fleet import STEP, Fleet

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fill"]

_AT_ONCE = 100  # series in one transaction
_FITTED = 4  # models that are fitted; each series gets one of them, for a fit each would take hours
_REFIT = 6 * 3600.0


def fill(directory: Path, fleet: Fleet) -> None:
    """Makes the store of `foresail serve --data-dir`: history up to the last step, a model for each series.

    The models' ages are spread, so that refits come as evenly as in a server that has run for long.
    """
    now = time.time()
    end = int(now) // STEP * STEP - STEP
    models = _models(fleet, end) if fleet.forecaster else []
    store = SqliteStore(directory / STORE_FILE)
    try:
        for first in range(0, fleet.size, _AT_ONCE):
            members = range(first, min(first + _AT_ONCE, fleet.size))
            triggers = [fleet.trigger(member) for member in members]
            store.append(
                [(t.series_id, fleet.past(member, end=end)) for t, member in zip(triggers, members, strict=True)]
            )
            for trigger, member in zip(triggers, members, strict=True):
                fitted_at = now - _REFIT * (member / fleet.size)
                kept = models[member % len(models)]
                store.put_model(trigger.series_id, StoredModel(fleet.forecaster, kept, end, fitted_at))
    finally:
        store.close()


def _models(fleet: Fleet, end: int) -> list[bytes]:
    """Models as the engine keeps them."""
    lead_time = fleet.trigger(0).lead_time or 180.0
    steps = horizon(window=window(lead_time, 45.0), step=STEP, forecast_max_age=240.0)
    forecaster = default_registry().create(fleet.forecaster, {})
    kept = []
    for member in range(min(_FITTED, fleet.size)):
        fitted = forecaster.fit(fleet.past(member, end=end), horizon=steps, levels=BANDS)
        kept.append(msgspec.msgpack.encode(Kept(fleet.forecaster, dumps(fitted))))
    return kept
