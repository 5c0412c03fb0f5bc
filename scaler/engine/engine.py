"""The engine: keeps the series of all triggers fresh and their forecasts made, and publishes snapshots.

One loop, a timetable, and bounded work: every distinct series is observed every few seconds, extended and
forecast at every step of its grid, fitted every few hours. Nothing here waits on anything but sources, the
store's thread and the fit pool, each with a bound. Time comes in as a callable, so tests have their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from scaler.engine.admission import bound, counted, ledger_of, tenant_name
from scaler.engine.alignment import lives_tested, longest_period
from scaler.engine.beside import Beside
from scaler.engine.decisions import DecisionLog
from scaler.engine.gating import Gating
from scaler.engine.history import History
from scaler.engine.messages import Evicted, Refusal, Refused
from scaler.engine.precedence import Precedence
from scaler.engine.publisher import Publisher
from scaler.engine.recalls import AT_ONCE, Recalls
from scaler.engine.remembered import Remembered
from scaler.engine.roster import Roster, bytes_of
from scaler.engine.shared_turns import SharedTurns
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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scaler.decision import DecisionPolicy
    from scaler.engine.messages import Recalled, Update
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
_BREATH = 0.02
"""Seconds between two looks at what is due. Hundreds of series are due at once, and their jobs, one right after the
other, would hold up the loop. 50 at each look are 2,500 a second; 10,000 series have 830."""
_PATIENCE_OF_FORECASTS = 0.25  # seconds that each of them gives way to first looks at most,
_PATIENCE_OF_PASTS = 2.0  # and each batch of pasts that are read
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
        self._precedence = Precedence()
        turns = Turns(
            give_way=partial(self._precedence.give_way, _PATIENCE_OF_FORECASTS),
            spent=lambda: modelling.spent_aside,
        )
        self._turns = SharedTurns(turns, modelling.forecast_aside)
        self._recalls = Recalls(self._recall, give_way=partial(self._precedence.give_way, _PATIENCE_OF_PASTS))
        self._clock = clock
        self._monotonic = monotonic
        self._meter = meter
        self._looked_at = clock()  # when what is due was last looked for
        self._roster = Roster(settings=settings, monotonic=monotonic)
        self._remembered = Remembered(persistence=persistence, gating=self._gating)
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
        self._roster.called(trigger_ids)

    def _take_up(self, config: TriggerConfig) -> None:
        trigger_id, known = config.key.id, self._roster.of(config.key.id)
        if known is not None:
            self.called([trigger_id])
            self._publisher.tell_of(known)
            return
        config, samples = bound(config, self._settings), self._capacity(config)
        size = bytes_of(samples, beside=len(config.covariates), ahead=self._ahead(config))
        with counted(self._ledger, config, samples=samples):
            self._let_go(self._roster.room_for(config.series_id, size=size), "room")
            series = self._roster.get(config.series_id) or self._opened(config)
            beside = self._beside.take(config, capacity=samples, open_series=self._opened)
        reaches_back = samples > series.history.capacity
        series.history.capacity = max(series.history.capacity, samples)
        state = TriggerState(
            config=config,
            called_at=self._monotonic(),
            agenda=agenda_of(config, self._settings.events),
            covariates=beside,
        )
        self._gating.recall(state)
        new = self._roster.get(series.id) is None
        self._roster.add(series, state, size=size)
        self._remembered.warm(series, trigger_id)
        if new:
            self._start(("first", series.id))
        elif series.loaded:
            self._modelling.forecast(series)
            self._publisher.tell_of(series)
            self._start(("step" if reaches_back or beside else "fit", series.id))

    def _capacity(self, config: TriggerConfig) -> int:
        """Samples to hold: a window before the earliest fit that is looked back on, and what has come since."""
        window = int(config.history_window // config.step)
        longest = longest_period(refit_every=self._settings.refit_every, window=window, step=config.step)
        return window + 1 + longest * (1 + lives_tested(longest=longest, step=config.step))

    def _ahead(self, config: TriggerConfig) -> float:
        """Seconds that are forecast; a lead time that will be measured counts as the one until then."""
        policy = policy_of(config, self._settings)
        return policy.window + policy.forecast_max_age

    def _opened(self, config: TriggerConfig) -> SeriesState:
        """A series for the trigger, with its source."""
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
        await self._remembered.tell(self._publish)

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
                await asyncio.sleep(_BREATH)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, self._recalls.close(), self._turns.close(), return_exceptions=True)
            self._modelling.close()

    def housekeep(self) -> None:
        """Puts the work that belongs to no series on the timetable."""
        now = self._clock()
        for job, every in (("flush", _FLUSH_EVERY), ("evict", _EVICT_EVERY), ("forget", _FORGET_EVERY)):
            self._timetable.set((job, ""), now + every)

    def next_due(self) -> float | None:
        """When the next job is due, epoch seconds."""
        return self._timetable.next_due()

    def start_due(self) -> None:
        """Starts jobs that are due now: some at a time, for a fleet's are due at few moments."""
        now = self._clock()
        if now < self._looked_at - _CLOCK_GRAIN:
            self._clock_went_back()
        self._looked_at = now
        for job in self._timetable.pop_due(now, most=AT_ONCE):
            self._start(job)

    def _clock_went_back(self) -> None:
        """What was due by the old clock may be hours away by the new one: everything gets a new time.

        What a query such as `... or vector(0)` gave for that future is no past.
        """
        self.housekeep()
        for series in self._roster.series:
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
        series = self._roster.get(series_id)
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
        """First sight of a series: its load at once, then its past from the store and the source, then a model.

        In this order, for a fleet's loads are known in a moment, and until its forecasts are made anew those of
        before the restart are good.
        """
        with self._precedence.first():
            await self._refresh.observe(series)
        self._publisher.tell_of(series)
        self._schedule_observe(series)
        await self._recalls.recall(series)
        self._publisher.tell_of(series)
        await self._step(series)
        self._schedule_step(series)

    async def _recall(self, series: SeriesState) -> None:
        await self._refresh.recall(series)
        await self._modelling.recall(series)

    async def _step(self, series: SeriesState) -> None:
        _, extended = await asyncio.gather(self._beside.extend(series), self._refresh.extend(series))
        if extended or self._modelling.lacks_forecast(series):
            await self._modelling.forecast_outside(series)
            await self._turns.forecast(series)
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
        if self._roster.holds(series) and self._modelling.trials_due(series):
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
        if self._roster.holds(series):
            self._timetable.set(("observe", series.id), self._refresh.next_observe(series))

    def _schedule_step(self, series: SeriesState) -> None:
        if self._roster.holds(series):
            self._timetable.set(("step", series.id), self._refresh.next_step(series))

    # --- housekeeping ----------------------------------------------------------------------

    async def _housekeeping(self, kind: str) -> None:
        now = self._clock()
        if kind == "flush":
            await self._persistence.flush(now=now)
            self._timetable.set((kind, ""), self._clock() + _FLUSH_EVERY)
        elif kind == "evict":
            self._let_go(self._roster.idle(), "idle")
            self._timetable.set((kind, ""), now + _EVICT_EVERY)
        elif kind == "forget":
            before = now - self._settings.history_retention
            await self._persistence.forget(before=before, most_decisions=self._settings.decision_log)
            self._timetable.set((kind, ""), now + _FORGET_EVERY)

    def _let_go(self, trigger_ids: Sequence[str], reason: str) -> None:
        """Lets go of triggers; their history stays in the store."""
        if not trigger_ids:
            return
        gone, empty = self._roster.remove(trigger_ids)
        closing = list(empty)
        for trigger in gone:
            self._gating.keep(trigger)
            self._ledger.remove(trigger.config.key.id)
            closing += self._beside.drop(trigger.config.key.id)
        for series in empty:
            self._timetable.drop(("observe", series.id))
            self._timetable.drop(("step", series.id))
        self._publish(Evicted(list(trigger_ids)))
        self._meter.evicted(reason, len(gone))
        # nobody waits for what is under way for them; a fit in the queue would be made for nothing
        names = {series.id for series in empty}
        unwanted = [task for task, (_, series_id) in self._running.items() if series_id in names]
        for task in unwanted:
            task.cancel()
        if closing:
            end = asyncio.create_task(_close(unwanted, closing), name="close")
            self._running[end] = ("close", "")
            end.add_done_callback(self._running.pop)

    def keep(self) -> None:
        """At the end: what is written only now and then is given to the store."""
        for series in self._roster.series:
            for trigger in series.triggers.values():
                self._gating.keep(trigger)

    # --- for telemetry ---------------------------------------------------------------------

    @property
    def series(self) -> Sequence[SeriesState]:
        """The series kept fresh; to look at, not to change."""
        return self._roster.series

    @property
    def fits_waiting(self) -> int:
        """Fits in the pool's queue."""
        return self._modelling.fits_waiting

    @property
    def series_count(self) -> int:
        """Distinct series kept fresh."""
        return len(self._roster.series)

    @property
    def series_bytes(self) -> int:
        """Memory that they take, as reckoned against `memory_limit`."""
        return self._roster.bytes

    @property
    def trigger_count(self) -> int:
        """Triggers taken up."""
        return self._roster.triggers


async def _close(under_way: Sequence[asyncio.Task[None]], empty: Sequence[SeriesState]) -> None:
    """Closes the sources of series that were let go of, when nothing uses them any more."""
    await asyncio.gather(*under_way, return_exceptions=True)
    for series in empty:
        await series.source.close()
