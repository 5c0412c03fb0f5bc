"""From a call to a decision, out of memory: what the gRPC servicer and the HTTP side ask.

Filled by messages of the engine, wherever that runs: behind a socket, or in this process (`foresail demo`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from heapq import nsmallest
from typing import TYPE_CHECKING

from scaler.decision import decide
from scaler.edge.entry import Entry
from scaler.edge.journal import Journal
from scaler.edge.parsed import Parsed
from scaler.engine.messages import Evicted, Recalled, Refused, Register, Update
from scaler.errors import ForesailError, LimitReached, ValueUnknown
from scaler.in_use import IN_USE
from scaler.policy import policy_of
from scaler.telemetry.masking import protect
from scaler.tenancy.tenants import quotas_of
from scaler.trigger import parse_trigger
from scaler.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scaler.decision import Decision, Snapshot
    from scaler.decision.change import Change
    from scaler.edge.parsed import Content
    from scaler.engine.messages import FromEngine, ToEngine
    from scaler.settings import Settings
    from scaler.trigger import TriggerConfig

__all__ = ["TriggerDesk"]

_PAIR = 1.0  # seconds within which IsActive belongs to the GetMetrics before it; KEDA leaves 1-2 ms between them
_SWEEP_EVERY = 1.0  # seconds between two looks through all triggers for some to drop, however many calls ask for room
_SWEPT_PART = 100
_TOLD_AT_ONCE = 200  # triggers that a new engine is told of in one turn of the loop, some 3 ms
_MOST_WAITING = 10_000  # changes of answers that wait for the engine
_WAITING_SHARE = 4  # of the calls at work: where there are tenants, one namespace has a quarter of them to wait with
_LOOK_AGAIN = 15.0  # seconds after which a decision may have changed by the passing of time alone


class TriggerDesk:
    """Implements `scaler.keda.desk.Desk`. Used from one event loop only."""

    def __init__(
        self,
        *,
        settings: Settings,
        tell: Callable[[ToEngine], None],
        engine_answering: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        settings: Ages, waits and bounds.
        tell: Gives a message to the engine; never blocks, never raises.
        engine_answering: Whether there is an engine that has done with starting.
        clock: Epoch seconds.
        monotonic: Seconds that only grow: how long ago something was, whatever the clock does.
        """
        self._settings = settings
        self._tell = tell
        self._engine_answering = engine_answering
        self._clock = clock
        self._monotonic = monotonic
        self._parsed = Parsed(most=settings.max_triggers)
        self._calls: dict[str, tuple[Content, Register]] = {}  # trigger id -> the call as it came, for the engine
        self._entries: dict[str, Entry] = {}
        self._of_namespace: Counter[str] = Counter()  # entries
        self._waiting: Counter[str] = Counter()  # calls that wait for a first value, by namespace
        self._stored: dict[str, Snapshot] = {}  # of triggers that were not called since the start
        self._called: set[str] = set()
        self._sweep_at = monotonic()  # when refused triggers may be looked for
        self._journal = Journal(most_waiting=_MOST_WAITING if settings.decision_log else 0)

    # --- what calls ask --------------------------------------------------------------------

    def trigger(self, namespace: str, name: str, metadata: Mapping[str, str]) -> TriggerConfig:
        """The parsed metadata, cached by content. Raises InvalidTrigger."""
        content = (namespace, name, frozenset(metadata.items()))
        config = self._parsed.get(content)
        if config is None:
            config = parse_trigger(namespace=namespace, name=name, metadata=metadata)
            protect(*config.source_spec().secrets)
            self._calls[config.key.id] = content, Register(config.key.id, namespace, name, dict(metadata))
            given_up = self._parsed.put(content, config)
            if given_up is not None and given_up.key.id not in self._entries:
                self._calls.pop(given_up.key.id, None)
        return config

    def peek(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision | None:
        """The decision if the trigger and its load are known; None if a moment's wait may bring it."""
        entry = self._entries.get(trigger.key.id)
        if entry is None:
            return None
        self._called.add(trigger.key.id)
        if not entry.registered:
            self._register(entry)
        if entry.refusal is not None:
            self._refuse(entry)
        return self._decide(entry, follows=follows)

    async def decision(self, trigger: TriggerConfig, *, follows: bool = False) -> Decision:
        """As `peek`, but registers an unknown trigger and waits a bounded moment for its first value."""
        entry = self._entries.get(trigger.key.id) or self._open(trigger)
        deadline = asyncio.get_running_loop().time() + self._settings.first_answer_wait
        while True:
            updated = entry.updated
            decision = self.peek(trigger, follows=follows)
            if decision is not None:
                return decision
            try:
                async with asyncio.timeout_at(deadline):
                    await self._wait(updated, trigger.namespace_of_object)
            except TimeoutError:
                raise self._not_known_yet() from None

    async def _wait(self, updated: asyncio.Event, namespace: str) -> None:
        """Waits, unless the namespace has its part of those that wait already."""
        settings = self._settings
        most = settings.max_concurrent_rpcs // _WAITING_SHARE if settings.tenants else settings.max_concurrent_rpcs
        if self._waiting[namespace] >= max(1, most):
            raise ValueUnknown(
                f"the load is not known yet, and namespace {namespace} has {self._waiting[namespace]} calls that wait "
                "for a first value already, its share of this server's: the source is asked, and the next call may "
                "have its answer"
            )
        self._waiting[namespace] += 1
        try:
            await updated.wait()
        finally:
            self._waiting[namespace] -= 1
            if not self._waiting[namespace]:
                del self._waiting[namespace]

    def _not_known_yet(self) -> ValueUnknown:
        waited = duration(self._settings.first_answer_wait)
        if not self._engine_answering():
            return ValueUnknown(
                f"the load is not known yet: the engine process, which asks the sources, is being started; "
                f"it has not come up within {waited} of this call"
            )
        return ValueUnknown(
            f"the load is not known yet: the source has not answered within {waited} of the trigger's first call; "
            "it is asked on"
        )

    async def changed(self, trigger: TriggerConfig) -> None:
        """Returns when the trigger's decision may have changed: a new snapshot, or time."""
        entry = self._entries.get(trigger.key.id) or self._open(trigger)
        try:
            async with asyncio.timeout(_LOOK_AGAIN):
                await entry.updated.wait()
        except TimeoutError:
            return

    def _decide(self, entry: Entry, *, follows: bool) -> Decision | None:
        now = entry.called_at = self._monotonic()
        if follows and entry.decision is not None and now - entry.decided_at <= _PAIR:
            return entry.decision
        snapshot = entry.snapshot
        if snapshot is None or (snapshot.observed is None and not snapshot.error):
            return None
        entry.decision = None
        at, trigger_id = entry.as_of(self._clock()), entry.config.key.id
        try:
            entry.decision = decide(snapshot, entry.policy, now=at)
        except ForesailError as error:
            if entry.recalled:
                return None  # too old, or no load: what the source says now is a moment away
            self._journal.failed(trigger_id, str(error), entry.policy, at=at)
            raise
        self._journal.decided(trigger_id, entry.decision, entry.policy, snapshot.outlook, at=at)
        entry.decided_at = now
        return entry.decision

    def _open(self, trigger: TriggerConfig) -> Entry:
        if len(self._entries) >= self._settings.max_triggers and self._monotonic() >= self._sweep_at:
            self._sweep_at = self._monotonic() + _SWEEP_EVERY
            self._drop_refused()
            self._drop_idle()
        if len(self._entries) >= self._settings.max_triggers:
            raise LimitReached.of_triggers(len(self._entries))
        self._check_quota(trigger.namespace_of_object)
        entry = Entry(config=trigger, policy=policy_of(trigger, self._settings), monotonic=self._monotonic)
        entry.called_at = self._monotonic()
        stored = self._stored.pop(trigger.key.id, None)
        if stored is not None:
            entry.update(stored, wall=self._clock(), recalled=True)
        self._entries[trigger.key.id] = entry
        self._of_namespace[trigger.namespace_of_object] += 1
        self._register(entry)
        return entry

    def _check_quota(self, namespace: str) -> None:
        """Keeps one namespace's triggers from filling this memory; the engine looks at the other quotas."""
        most, has = quotas_of(namespace, self._settings).triggers, self._of_namespace[namespace]
        if most and has >= most and self._monotonic() >= self._sweep_at:
            self._sweep_at = self._monotonic() + _SWEEP_EVERY
            self._drop_refused()
            has = self._of_namespace[namespace]
        if most and has >= most:
            raise LimitReached.of_namespace(
                namespace, quota="namespace_triggers", most=most, has=has, what="triggers in use"
            )

    def _register(self, entry: Entry) -> None:
        call = self._calls.get(entry.config.key.id)
        if call is not None:
            entry.registered = True
            self._tell(call[1])

    def _refuse(self, entry: Entry) -> None:
        """Raises the engine's refusal; asks anew when it is old, for settings and limits change."""
        if self._monotonic() - entry.refused_at > _LOOK_AGAIN:
            entry.refused_at = self._monotonic()
            self._register(entry)
        if entry.refusal is not None:
            raise entry.refusal

    def _drop_refused(self) -> None:
        """Lets go of triggers that the engine has refused: it will never say that they are idle."""
        for trigger_id in [trigger_id for trigger_id, entry in self._entries.items() if entry.refusal is not None]:
            self._remove(trigger_id)

    def _drop_idle(self) -> None:
        """If there is no room still, lets go of those not called for longest; the engine does the same with its own.

        A hundredth at once: all are looked through for it.
        """
        if len(self._entries) < self._settings.max_triggers:
            return
        before = self._monotonic() - IN_USE
        spare = [(entry.called_at, trigger_id) for trigger_id, entry in self._entries.items()]
        for called_at, trigger_id in nsmallest(max(1, len(spare) // _SWEPT_PART), spare):
            if called_at < before:
                self._remove(trigger_id)

    # --- what the engine tells -------------------------------------------------------------

    def apply(self, message: FromEngine) -> None:
        """Takes up a message of the engine."""
        if isinstance(message, Update):
            for snapshot in message.snapshots:
                self._update(snapshot)
        elif isinstance(message, Recalled):
            for snapshot in message.snapshots:
                self._recall(snapshot)
        elif isinstance(message, Refused):
            entry = self._entries.get(message.trigger)
            if entry is not None:
                entry.refuse(message.refusal, at=self._monotonic())
        elif isinstance(message, Evicted):
            for trigger_id in message.triggers:
                self._forget(trigger_id)

    def _update(self, snapshot: Snapshot) -> None:
        entry = self._entries.get(snapshot.trigger)
        if entry is not None:  # else it was let go of while this was under way
            entry.update(snapshot, wall=self._clock())

    def _recall(self, snapshot: Snapshot) -> None:
        """What a store has kept: it never replaces what is known here, which is newer."""
        entry = self._entries.get(snapshot.trigger)
        if entry is None:
            self._stored[snapshot.trigger] = snapshot
        elif entry.snapshot is None:
            entry.update(snapshot, wall=self._clock(), recalled=True)

    def _forget(self, trigger_id: str) -> None:
        """Lets go of an idle trigger, unless a call has just come: then it is registered anew."""
        entry = self._entries.get(trigger_id)
        if entry is None:
            return
        if trigger_id in self._called:
            self._register(entry)
        else:
            self._remove(trigger_id)

    def _remove(self, trigger_id: str) -> None:
        namespace = self._entries.pop(trigger_id).config.namespace_of_object
        self._of_namespace[namespace] -= 1
        if not self._of_namespace[namespace]:
            del self._of_namespace[namespace]
        self._journal.forget(trigger_id)
        call = self._calls.pop(trigger_id, None)
        if call is not None:
            self._parsed.drop(call[0])

    def take_called(self) -> list[str]:
        """The triggers called since the last time this was asked."""
        called, self._called = self._called, set()
        return sorted(called)

    def take_changes(self) -> list[tuple[str, Change]]:
        """What changed in the answers and was not taken yet, the oldest first, a bounded number."""
        return self._journal.take()

    async def register_all(self) -> None:
        """Tells a new engine of every trigger that is in use; calls are answered in between."""
        for number, entry in enumerate(list(self._entries.values()), 1):
            if self._entries.get(entry.config.key.id) is entry:  # else it was let go of meanwhile
                self._register(entry)
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)

    def entries(self) -> Iterable[Entry]:
        """All triggers in use, for telemetry and explanations."""
        return self._entries.values()

    @property
    def clock(self) -> Callable[[], float]:
        """The clock that decisions are made by."""
        return self._clock
