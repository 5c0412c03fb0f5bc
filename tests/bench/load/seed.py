"""A store that knows a fleet's past and its models, as a server that has run for a week leaves it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from forecasting.registry import default_registry
from forecasting.serialise import dumps
from scaler.decision import horizon, window
from scaler.engine.alignment import longest_period, train_end
from scaler.engine.modelling import Kept
from scaler.engine.process import STORE_FILE
from scaler.engine.state import BANDS, ModelKey
from scaler.engine.timetable import spread
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

    The models are as old as they would be in a server that has run for long: refits come evenly.
    """
    now = time.time()
    end = int(now) // STEP * STEP - STEP
    models = _models(fleet, end)
    store = SqliteStore(directory / STORE_FILE)
    try:
        for first in range(0, fleet.size, _AT_ONCE):
            members = range(first, min(first + _AT_ONCE, fleet.size))
            triggers = [fleet.trigger(member) for member in members]
            store.append(
                [(t.series_id, fleet.past(member, end=end)) for t, member in zip(triggers, members, strict=True)]
            )
            for trigger, member in zip(triggers, members, strict=True):
                fitted = _fitted_to(fleet, trigger.series_id, end)
                model = StoredModel(_key(fleet).stored_name, models[member % len(models)], fitted, float(fitted))
                store.put_model(trigger.series_id, model)
    finally:
        store.close()


def _key(fleet: Fleet) -> ModelKey:
    """What tells the fleet's models from others."""
    steps = horizon(window=window(fleet.trigger(0).lead_time or 180.0, 45.0), step=STEP, forecast_max_age=240.0)
    return ModelKey(forecaster=fleet.forecaster, window=fleet.days * 86400 // STEP, horizon=steps)


def _fitted_to(fleet: Fleet, series_id: str, end: int) -> int:
    """The time of the last sample that the series' model would have been fitted to."""
    steps = fleet.days * 86400 // STEP
    longest = longest_period(refit_every=_REFIT, window=steps, step=STEP)
    begin = end - (steps - 1) * STEP
    return train_end(begin=begin, end=end, step=STEP, window=steps, longest=longest, phase=spread(series_id))


def _models(fleet: Fleet, end: int) -> list[bytes]:
    """Models as the engine keeps them."""
    forecaster = default_registry().create(fleet.forecaster, {})
    kept = []
    for member in range(min(_FITTED, fleet.size)):
        fitted = forecaster.fit(fleet.past(member, end=end), horizon=_key(fleet).horizon, levels=BANDS)
        kept.append(msgspec.msgpack.encode(Kept(fleet.forecaster, dumps(fitted))))
    return kept
