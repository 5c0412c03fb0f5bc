"""A store that knows a fleet's past and its models, as a server that has run for a week leaves it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from forecasting.registry import default_registry
from forecasting.serialise import dumps
from scaler.engine.alignment import lives_tested, longest_period, train_end
from scaler.engine.modelling import Kept
from scaler.engine.process import STORE_FILE
from scaler.engine.state import BANDS, ModelKey, TriggerState
from scaler.engine.timetable import spread
from scaler.settings import Settings
from scaler.store.base import StoredModel
from scaler.store.sqlite import SqliteStore
from tests.bench.load.fleet import STEP, Fleet

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fill"]

_AT_ONCE = 100  # series in one transaction
_FITTED = 4  # models that are fitted; each series gets one of them, for a fit each would take hours
_LOOKED_BACK = 86400  # seconds of history beyond a window: an engine looks back on earlier fits


def fill(directory: Path, fleet: Fleet) -> None:
    """Makes the store of `foresail serve --data-dir`: history up to the last step, a model for each series.

    The models are as old as they would be in a server that has run for long: refits come evenly.
    """
    end = int(time.time()) // STEP * STEP - STEP
    key = _key(fleet)
    count = key.window + _LOOKED_BACK // STEP
    models = _models(fleet, key, end)
    store = SqliteStore(directory / STORE_FILE)
    try:
        for first in range(0, fleet.size, _AT_ONCE):
            members = range(first, min(first + _AT_ONCE, fleet.size))
            triggers = [fleet.trigger(member) for member in members]
            store.append(
                [
                    (t.series_id, fleet.past(member, end=end, count=count))
                    for t, member in zip(triggers, members, strict=True)
                ]
            )
            for trigger, member in zip(triggers, members, strict=True):
                now, *before = _ends(key, trigger.series_id, begin=end - (count - 1) * STEP, end=end)
                kept = Kept(fleet.forecaster, models[member % len(models)], None, [(at, b"") for at in before])
                model = StoredModel(key.stored_name, msgspec.msgpack.encode(kept), now, float(now))
                store.put_model(trigger.series_id, model)
    finally:
        store.close()


def _key(fleet: Fleet) -> ModelKey:
    """What tells the fleet's models from others: all of its triggers ask for the same."""
    trigger = TriggerState(config=fleet.trigger(0), called_at=0.0)
    trigger.look_ahead(Settings())
    return trigger.model_key


def _ends(key: ModelKey, series_id: str, *, begin: int, end: int) -> list[int]:
    """The times of the last samples that the series' model, and those before it, would have been fitted to."""
    longest = longest_period(refit_every=Settings().refit_every, window=key.window, step=STEP)
    ends: list[int] = []
    for _ in range(1 + lives_tested(longest=longest, step=STEP)):
        latest = ends[-1] - STEP if ends else end
        ends.append(
            train_end(begin=begin, end=latest, step=STEP, window=key.window, longest=longest, phase=spread(series_id))
        )
    return ends


def _models(fleet: Fleet, key: ModelKey, end: int) -> list[bytes]:
    """Fitted models."""
    forecaster = default_registry().create(fleet.forecaster, {})
    kept = []
    for member in range(min(_FITTED, fleet.size)):
        past = fleet.past(member, end=end, count=key.window)
        kept.append(dumps(forecaster.fit(past, horizon=key.horizon, levels=BANDS)))
    return kept
