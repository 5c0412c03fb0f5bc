"""A trigger desk of its own, the time it sees, and what it told the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from scaler.decision import Snapshot
from scaler.edge.desk import TriggerDesk
from scaler.engine.messages import Recalled, ToEngine, Update
from scaler.settings import Settings

if TYPE_CHECKING:
    from scaler.trigger import TriggerConfig

__all__ = ["METADATA", "NOW", "Bench"]

NOW = 1_700_000_000.0
METADATA = {
    "scalerAddress": "foresail:6000",
    "serverAddress": "http://prometheus:9090",
    "query": "sum(rate(http_requests_total[2m]))",
    "threshold": "10",
    "headroom": "1.2",
}


@dataclass
class Bench:
    """A desk, the time it sees, and what it told the engine."""

    wait: float = 5.0
    now: float = NOW
    ahead: float = 0.0  # by how much the wall clock was set ahead since the start
    engine: bool = True
    told: list[ToEngine] = field(default_factory=list)
    desk: TriggerDesk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = TriggerDesk(
            settings=Settings(first_answer_wait=self.wait, max_triggers=3),
            tell=self.told.append,
            engine_answering=lambda: self.engine,
            clock=lambda: self.now,
            monotonic=lambda: self.now - self.ahead,
        )

    def trigger(self, name: str = "web", **changes: str) -> TriggerConfig:
        return self.desk.trigger("shop", name, METADATA | changes)

    def snapshot(self, trigger: TriggerConfig, **changes: Any) -> Snapshot:
        made = Snapshot(
            trigger=trigger.key.id, series="s", made_at=self.now, observed=50.0, observed_at=self.now, note="young"
        )
        return msgspec.structs.replace(made, **changes)

    def update(self, trigger: TriggerConfig, **changes: Any) -> None:
        self.desk.apply(Update([self.snapshot(trigger, **changes)]))

    def recall(self, trigger: TriggerConfig, **changes: Any) -> None:
        """What a new engine tells of a trigger before it is called: what the store has kept."""
        self.desk.apply(Recalled([self.snapshot(trigger, **changes)]))
