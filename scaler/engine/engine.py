"""The engine: keeps the series of all triggers fresh and their forecasts made, and publishes snapshots.

One loop, a timetable, and bounded work: every distinct series is observed every few seconds, extended and
forecast at every step of its grid, fitted every few hours. Nothing here waits on anything but sources, the
store's thread and the fit pool, each with a bound. Time comes in as a callable, so tests have their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from scaler.decision import Snapshot
from scaler.engine.admission import bound, counted, ledger_of, tenant_name
from scaler.engine.alignment import lives_tested, longest_period
from scaler.engine.beside import Beside
from scaler.engine.decisions import DecisionLog
from scaler.engine.gating import Gating, is_gate_record
from scaler.engine.history import History
from scaler.engine.messages import Evicted, Recalled, Refusal, Refused, Update
from scaler.engine.publisher import Publisher
from scaler.engine.start_up import StartUp
from scaler.engine.state import SeriesState, TriggerState
from scaler.engine.timetable import Timetable
from scaler.engine.turns import Turns
from scaler.errors import AddressRefused, InvalidTrigger, LimitReached, TenantRefused, ValueUnknown
from scaler.events.agenda import agenda_of
from scaler.policy import policy_of
from scaler.telemetry.masking import protect
from scaler.tenancy.promql import enforce
from scaler.trigger import parse_trigger
from scaler.trigger.signal import signal_warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scaler.decision import DecisionPolicy
    from scaler.engine.meter import Meter
    from scaler.engine.modelling import Modelling
    from scaler.engine.persistence import Persistence
    from scaler.engine.refresh import Refresh
    from scaler.settings import Settings
    from scaler.sources.base import MetricSource, SourceSpec
    from scaler.tenancy.ledger import Ledger
    from scaler.trigger import TriggerConfig

__all__ = ["Engine"]

_Job: TypeAlias = tuple[str, str]  # what to do, and the series it is for ("" for housekeeping)

_FLUSH_EVERY = 2.0  # seconds between writes of what is pending
_EVICT_EVERY = 30.0
_FORGET_EVERY = 3600.0
_LONGEST_WAIT = 5.0  # seconds: how long a clock that was set goes unnoticed at most
_CLOCK_GRAIN = 1.0  # seconds: a clock that is slewed, not set, goes back by less


class Engine:
    """Call `register` and `called` as calls come in, run `run` as a task, read what it publishes."""

    def __init__(
        self,
        *,
        settings: Settings,
        open_source: Callable[[SourceSpec], MetricSource],
        refresh: Refresh,
        modelling: Modelling,
        persistence: Persistence,
        publish: Callable[[Update | Recalled | Refused | Evicted], None],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        meter: Meter,
        ledger: Ledger | None = None,
    ) -> None:
        """Args:
        settings: Bounds and paces.
        open_source: From a specification to a source.
        refresh: Keeps series fresh.
        modelling: Keeps forecasts made.
        persistence: What outlives a restart.
        publish: Gives a message to the edge; never blocks.
        clock: Epoch seconds.
        monotonic: Seconds that only grow: how long a trigger has been idle, whatever the clock does.
        meter: Told what happens.
        ledger: What namespaces take; None: one of its own.
        """
        self._ledger = ledger or ledger_of(settings, monotonic=monotonic)
        self._settings = settings
        self._open_source = open_source
        self._refresh = refresh
        self._modelling = modelling
        self._persistence = persistence
        self._gating = Gating(persistence=persistence, policy_of=self._policy)
        self._beside = Beside(refresh=refresh, clock=clock)
        self._start_up = StartUp(refresh=refresh, clock=clock)
        self._publish = publish
        self._publisher = Publisher(publish=publish, persistence=persistence, clock=clock, settings=settings)
        self._turns = Turns()
        self._clock = clock
        self._monotonic = monotonic
        self._meter = meter
        self._looked_at = clock()  # when what is due was last looked for
        self._series: dict[str, SeriesState] = {}
        self._series_of: dict[str, SeriesState] = {}  # trigger id -> its series
        self._stored: dict[str, Snapshot] = {}  # last-good snapshots of triggers that were not called yet
        self._timetable: Timetable[_Job] = Timetable()
        self._running: dict[asyncio.Task[None], _Job] = {}
        self._woken = asyncio.Event()
        self.decisions = DecisionLog(persistence)

    # --- what the edge tells ---------------------------------------------------------------

    def register(self, *, trigger_id: str, namespace: str, name: str, metadata: Mapping[str, str]) -> None:
        """Takes up a trigger, or publishes why it does not."""
        try:
            config = parse_trigger(namespace=namespace, name=name, metadata=metadata)
            self._take_up(config)
        except (InvalidTrigger, AddressRefused, LimitReached, TenantRefused) as error:
            self._publish(Refused(trigger_id, Refusal(type(error).__name__, str(error))))
        except Exception as error:  # noqa: BLE001  # one tenant's trigger must not take the engine from all others
            self._meter.bug("register", error)
            text = f"the trigger cannot be taken up: {type(error).__name__}, see the server's log"
            self._publish(Refused(trigger_id, Refusal(ValueUnknown.__name__, text)))

    def called(self, trigger_ids: Iterable[str]) -> None:
        """These triggers are in use."""
        now = self._monotonic()
        for trigger_id in trigger_ids:
            series = self._series_of.get(trigger_id)
            if series is not None:
                series.triggers[trigger_id].called_at = now

    def _take_up(self, config: TriggerConfig) -> None:
        if config.key.id in self._series_of:
            self.called([config.key.id])
            self._publisher.tell_of(self._series_of[config.key.id])
            return
        if len(self._series_of) >= self._settings.max_triggers:
            raise LimitReached.of_triggers(len(self._series_of))
        config = bound(config, self._settings)
        with counted(self._ledger, config, samples=self._capacity(config)):
            series = self._series.get(config.series_id) or self._open_series(config)
            beside = self._beside.take(config, capacity=self._capacity(config), open_series=self._made_series)
        reaches_back = self._capacity(config) > series.history.capacity
        series.history.capacity = max(series.history.capacity, self._capacity(config))
        state = TriggerState(
            config=config,
            called_at=self._monotonic(),
            agenda=agenda_of(config, self._settings.events),
            covariates=beside,
        )
        self._gating.recall(state)
        series.triggers[config.key.id] = state
        self._series_of[config.key.id] = series
        self._warm(series, config.key.id)
        if series.loaded:
            self._modelling.forecast(series)
            self._publisher.tell_of(series)
            self._start(("step" if reaches_back or beside else "fit", series.id))

    def _capacity(self, config: TriggerConfig) -> int:
        """Samples to hold: a window before the earliest fit that is looked back on, and what has come since."""
        window = int(config.history_window // config.step)
        longest = longest_period(refit_every=self._settings.refit_every, window=window, step=config.step)
        return window + 1 + longest * (1 + lives_tested(longest=longest, step=config.step))

    def _warm(self, series: SeriesState, trigger_id: str) -> None:
        """Until the source answers, and the models that are recalled, all is as the store last knew it."""
        stored = self._stored.pop(trigger_id, None)
        if stored is None:
            return
        if series.observed is None:
            series.observed, series.observed_at = stored.observed, stored.observed_at
        trigger = series.triggers[trigger_id]
        trigger.recall_lead_time(stored.lead_time, stored.lead_time_origin)
        trigger.recalled = stored.outlook

    def _open_series(self, config: TriggerConfig) -> SeriesState:
        series = self._series[config.series_id] = self._made_series(config)
        self._start(("first", series.id))
        return series

    def _made_series(self, config: TriggerConfig) -> SeriesState:
        spec = config.resolve(self._settings.sources)
        protect(*spec.secrets)
        return SeriesState(
            id=config.series_id,
            query=enforce(config.query, config.matchers),
            matchers=config.matchers,
            tenant=tenant_name(config.namespace_of_object, self._settings),
            step=config.step,
            source=self._open_source(spec),
            source_label=spec.name or spec.address,
            signal=signal_warning(config.query),
            history=History(step=config.step, capacity=self._capacity(config)),
        )

    # --- the loop --------------------------------------------------------------------------

    async def warm_start(self) -> None:
        """Publishes the last-good snapshots of the store: the first answers need no source."""
        for trigger_id, data in await self._persistence.snapshots():
            if is_gate_record(trigger_id):
                self._gating.remember(trigger_id, data)
                continue
            # damaged, or written by another version: the source will tell
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                self._stored[trigger_id] = msgspec.msgpack.decode(data, type=Snapshot)
        if self._stored:
            self._publish(Recalled(list(self._stored.values())))

    async def run(self) -> None:
        """Runs until cancelled."""
        self.housekeep()
        try:
            while True:
                self.start_due()
                due = self.next_due()
                wait = _LONGEST_WAIT if due is None else min(_LONGEST_WAIT, max(0.0, due - self._clock()))
                self._woken.clear()
                # not wait_for: in Python 3.11 that loses a cancellation that comes together with what is waited for
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._woken.wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def housekeep(self) -> None:
        """Puts the work that belongs to no series on the timetable."""
        now = self._clock()
        for job, every in (("flush", _FLUSH_EVERY), ("evict", _EVICT_EVERY), ("forget", _FORGET_EVERY)):
            self._timetable.set((job, ""), now + every)

    def next_due(self) -> float | None:
        """When the next job is due, epoch seconds."""
        return self._timetable.next_due()

    def start_due(self) -> None:
        """Starts the jobs that are due now."""
        now = self._clock()
        if now < self._looked_at - _CLOCK_GRAIN:
            self._clock_went_back()
        self._looked_at = now
        for job in self._timetable.pop_due(now):
            self._start(job)

    def _clock_went_back(self) -> None:
        """What was due by the old clock may be hours away by the new one: everything gets a new time.

        What a query such as `... or vector(0)` gave for that future is no past.
        """
        self.housekeep()
        for series in self._series.values():
            series.history.cut(self._clock())
            self._gating.forget_future(series)
            self._schedule_observe(series)
            self._schedule_step(series)
        self._beside.cut(self._clock())

    async def settle(self) -> None:
        """Returns when no job is under way."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self, job: _Job) -> None:
        task = asyncio.create_task(self._do(job), name=" ".join(job))
        self._running[task] = job
        task.add_done_callback(self._running.pop)

    async def _do(self, job: _Job) -> None:
        kind, series_id = job
        series = self._series.get(series_id)
        try:
            if series is not None:
                await self._on_series(kind, series)
            elif not series_id:
                await self._housekeeping(kind)
        except Exception as error:  # noqa: BLE001  # a bug in one job must not end the work of all others
            self._meter.bug(" ".join(job).strip(), error)
            if series is not None:
                self._schedule_observe(series)
                self._schedule_step(series)
            elif not series_id:
                self._timetable.set(job, self._clock() + _EVICT_EVERY)
        self._woken.set()

    async def _on_series(self, kind: str, series: SeriesState) -> None:
        if kind == "first":
            await self._first(series)
        elif kind == "observe":
            healed = await self._refresh.observe(series)
            self._publisher.tell_of(series)
            self._schedule_observe(series)
            if healed:
                self._timetable.set(("step", series.id), self._clock())
        elif kind == "step":
            await self._step(series)
            self._schedule_step(series)
        elif kind == "lead-time":
            await self._measure(series)
        elif kind == "fit":
            await self._modelling.fit_due(series)
            self._publisher.tell_of(series)
            self._look_back(series)
        elif kind == "past":
            await self._modelling.look_back(series)
            self._publisher.tell_of(series)

    async def _first(self, series: SeriesState) -> None:
        """First sight of a series: its load at once, then its past from the store and the source, then a model."""

        async def observe() -> None:
            await self._refresh.observe(series)
            self._publisher.tell_of(series)

        async def recall() -> None:
            await self._refresh.recall(series)
            await self._modelling.recall(series)
            self._publisher.tell_of(series)

        await asyncio.gather(observe(), recall())
        self._schedule_observe(series)
        await self._step(series)
        self._schedule_step(series)

    async def _step(self, series: SeriesState) -> None:
        _, extended = await asyncio.gather(self._beside.extend(series), self._refresh.extend(series))
        if extended or self._modelling.lacks_forecast(series):
            await self._modelling.forecast_outside(series)
            async with self._turns:
                self._modelling.forecast(series)
                if extended:
                    self._gating.step(series)
            self._publisher.tell_of(series)
        if self._modelling.fit_is_due(series):
            self._start(("fit", series.id))
        else:
            self._look_back(series)
        if self._start_up.due(series):
            self._start(("lead-time", series.id))

    def _look_back(self, series: SeriesState) -> None:
        if self._series.get(series.id) is series and self._modelling.trials_due(series):
            self._start(("past", series.id))

    async def _measure(self, series: SeriesState) -> None:
        """Measures the lead times that are due; a longer one needs a longer forecast."""
        changed = [await self._start_up.measure(series, trigger) for trigger in self._start_up.due(series)]
        if any(changed):
            await self._modelling.forecast_outside(series)
            self._modelling.forecast(series)
            self._publisher.tell_of(series)

    def _policy(self, trigger: TriggerState) -> DecisionPolicy:
        return policy_of(trigger.config, self._settings, lead_time=trigger.lead_time.seconds)

    def _schedule_observe(self, series: SeriesState) -> None:
        if self._series.get(series.id) is series:
            self._timetable.set(("observe", series.id), self._refresh.next_observe(series))

    def _schedule_step(self, series: SeriesState) -> None:
        if self._series.get(series.id) is series:
            self._timetable.set(("step", series.id), self._refresh.next_step(series))

    # --- housekeeping ----------------------------------------------------------------------

    async def _housekeeping(self, kind: str) -> None:
        now = self._clock()
        if kind == "flush":
            await self._persistence.flush(now=now)
            self._timetable.set((kind, ""), self._clock() + _FLUSH_EVERY)
        elif kind == "evict":
            await self._evict()
            self._timetable.set((kind, ""), now + _EVICT_EVERY)
        elif kind == "forget":
            before = now - self._settings.history_retention
            await self._persistence.forget(before=before, most_decisions=self._settings.decision_log)
            self._timetable.set((kind, ""), now + _FORGET_EVERY)

    async def _evict(self) -> None:
        """Lets go of triggers that nobody calls; their history stays in the store."""
        now = self._monotonic()
        idle = [
            (series, trigger_id)
            for series in self._series.values()
            for trigger_id, trigger in series.triggers.items()
            if now - trigger.called_at > self._settings.idle_after
        ]
        empty: dict[str, SeriesState] = {}
        for series, trigger_id in idle:
            self._gating.keep(series.triggers.pop(trigger_id))
            self._ledger.remove(trigger_id)
            await self._beside.drop(trigger_id)
            del self._series_of[trigger_id]
            if not series.triggers:
                empty[series.id] = self._series.pop(series.id)
                self._timetable.drop(("observe", series.id))
                self._timetable.drop(("step", series.id))
        if idle:
            self._publish(Evicted([trigger_id for _, trigger_id in idle]))
        # nobody waits for what is under way for them; a fit in the queue would be made for nothing
        unwanted = [task for task, (_, series_id) in self._running.items() if series_id in empty]
        for task in unwanted:
            task.cancel()
        await asyncio.gather(*unwanted, return_exceptions=True)
        for series in empty.values():
            await series.source.close()

    def keep(self) -> None:
        """At the end: what is written only now and then is given to the store."""
        for series in self._series.values():
            for trigger in series.triggers.values():
                self._gating.keep(trigger)

    # --- for telemetry ---------------------------------------------------------------------

    @property
    def series(self) -> tuple[SeriesState, ...]:
        """The series kept fresh; to look at, not to change."""
        return tuple(self._series.values())

    @property
    def fits_waiting(self) -> int:
        """Fits in the pool's queue."""
        return self._modelling.fits_waiting

    @property
    def series_count(self) -> int:
        """Distinct series kept fresh."""
        return len(self._series)

    @property
    def trigger_count(self) -> int:
        """Triggers taken up."""
        return len(self._series_of)
