"""An engine with all its parts, for the engine process and for commands that run it in their own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from forecasting.registry import default_registry
from scaler.engine.admission import ledger_of
from scaler.engine.engine import Engine
from scaler.engine.fits import FitPool
from scaler.engine.modelling import Modelling
from scaler.engine.outsiders import FORECAST_WITHIN
from scaler.engine.persistence import Persistence
from scaler.engine.refresh import Refresh
from scaler.engine.retrained import ModelWatch
from scaler.training.in_use import ModelFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from scaler.engine.messages import Evicted, Recalled, Refused, Update
    from scaler.engine.meter import Meter
    from scaler.settings import Settings
    from scaler.sources.base import MetricSource, SourceSpec
    from scaler.store.base import Store

__all__ = ["running_engine"]


@contextlib.asynccontextmanager
async def running_engine(
    *,
    settings: Settings,
    store: Store,
    open_source: Callable[[SourceSpec], MetricSource],
    publish: Callable[[Update | Recalled | Refused | Evicted], None],
    clock: Callable[[], float],
    meter: Meter,
    monotonic: Callable[[], float] = time.monotonic,
    fit_command: Sequence[str] | None = None,
) -> AsyncIterator[Engine]:
    """An engine that runs while the context is open; at its end everything pending is in the store.

    Args:
        settings: Bounds and paces.
        store: Closed at the end.
        open_source: From a specification to a source.
        publish: Gives a message to the edge; never blocks.
        clock: Epoch seconds.
        meter: Told what happens.
        monotonic: Seconds that only grow.
        fit_command: What to run instead of the fit worker, to inject faults.
    """
    persistence = Persistence(store, on_error=meter.store_failed)
    files = ModelFiles.of(settings)
    fits = FitPool(
        workers=settings.fit_workers,
        timeout=settings.fit_timeout,
        memory=settings.fit_memory,
        models=files.arguments,
        command=fit_command,
        on_restart=meter.worker_lost,
        on_turn=meter.fit_turn,
    )
    outside = FitPool(  # of its own: a forecast must not wait for the fits of minutes
        workers=1,
        timeout=min(settings.fit_timeout, FORECAST_WITHIN),
        memory=settings.fit_memory,
        models=files.arguments,
        command=fit_command,
        on_restart=meter.worker_lost,
    )
    refresh = Refresh(
        persistence=persistence,
        observe_interval=settings.observe_interval,
        concurrency=settings.source_concurrency,
        clock=clock,
        meter=meter,
    )
    ledger = ledger_of(settings, monotonic=monotonic)
    modelling = Modelling(
        fits=fits,
        outside=outside,
        persistence=persistence,
        forecasters=tuple(default_registry().names()),
        settings=settings,
        clock=clock,
        meter=meter,
        ledger=ledger,
    )
    watch = ModelWatch(files, modelling)
    await watch.look()
    engine = Engine(
        settings=settings,
        open_source=open_source,
        refresh=refresh,
        modelling=modelling,
        persistence=persistence,
        publish=publish,
        clock=clock,
        monotonic=monotonic,
        meter=meter,
        ledger=ledger,
    )
    meter.follow_namespaces(ledger.usages)
    await engine.warm_start()
    tasks = [asyncio.create_task(engine.run(), name="engine")]
    if files.arguments:
        tasks.append(asyncio.create_task(watch.run(engine), name="models"))
    try:
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await fits.close()
        await outside.close()
        await engine.decisions.settle()
        engine.keep()
        await persistence.close(now=clock())
