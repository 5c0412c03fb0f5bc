"""A fit worker: reads requests on standard input, writes fitted forecasters and plug-ins' forecasts on standard output.

A process of its own, so that what hangs, crashes or eats memory is killed without anybody else noticing.
Run as `python -m scaler.engine.worker MEMORY_BYTES SECONDS [KIND=FILE...]`: a fit that takes longer ends the process by
itself, for the engine that should have ended it may have been killed. The files hold trained models to fit on top of.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from forecasting.errors import ForecastError, InsufficientHistory, InvalidState
from forecasting.premium import premiums
from forecasting.registry import default_registry, fitting
from forecasting.serialise import dumps, loads
from forecasting.trial import put_to_test
from scaler.engine.beside import decoded
from scaler.engine.frames import encode_frame, read_frame
from scaler.engine.messages import FitDone, FitRequest, FitStarted, ForecastRequest, ToWorker
from scaler.engine.outsiders import about, forecast_here
from scaler.engine.probation import predicted
from scaler.replay.choice import choose
from scaler.training.in_use import ModelFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.registry import Registry
    from forecasting.series import TimeSeries
    from scaler.replay.aim import Choice

__all__ = ["climb", "main"]

_NICENESS = 10  # serving comes first on a machine that both share
_FULL = 0.8  # a worker that takes this share of its memory between two fits is not used for another


def climb(request: FitRequest, registry: Registry) -> Iterator[FitStarted | FitDone]:
    """Tries the rungs in order; the last message is the FitDone."""
    series = decoded(request)
    training = series if request.known else series.first(len(series) - request.tested)
    failures: list[str] = []
    began = time.process_time()
    for number, rung in enumerate(request.ladder):
        yield FitStarted(number)
        try:
            forecaster = fitting(registry.create(rung.forecaster, rung.parameters), series)
            fitted = forecaster.fit(training, horizon=request.horizon, levels=request.levels)
            data = dumps(fitted)
            _try_out(fitted, rung.forecaster, training, request)
            choice = _choice(request, training, forecaster)
            ranks = _ranks(request, series, data)
            added = premiums(fitted, training, horizon=request.horizon)
            told = about(rung.forecaster, fitted)
        except ForecastError as error:
            failures.append(str(error))
        except Exception as error:  # noqa: BLE001  # a plug-in may raise anything: the ladder goes on below it
            failures.append(f"{rung.forecaster} failed: {type(error).__name__}: {error}")
        else:
            table = [] if added is None else added.tolist()
            yield FitDone(number, data, failures, time.process_time() - began, choice, ranks, table, told)
            return
    yield FitDone(-1, b"", failures, time.process_time() - began)


def _try_out(fitted: FittedForecaster, name: str, series: TimeSeries, request: FitRequest) -> None:
    """A first forecast, here, where one that hangs, crashes or is none of what was asked for harms nobody."""
    with contextlib.suppress(InsufficientHistory):  # the latest load may be unknown just now
        past = series.last(fitted.context_length)
        predicted(fitted, past, name=name, horizon=request.horizon, levels=request.levels)


def _choice(request: FitRequest, series: TimeSeries, forecaster: Forecaster) -> Choice | None:
    if request.aim is None:
        return None
    return choose(series, forecaster, request.aim, horizon=request.horizon, before=request.before)


def _ranks(request: FitRequest, series: TimeSeries, data: bytes) -> bytes:
    """What came of the test. Forecasters are those that `loads` gives, as when it counts."""
    if not request.tested:
        return b""
    seen = series.last(request.window + 1)
    try:
        tested = loads(request.known or data)
        return (
            put_to_test(tested, seen, tested=request.tested, steps=request.steps, horizon=request.horizon)
            .astype("<u2")
            .tobytes()
        )
    except InvalidState:
        if not request.known:
            raise
        return b""  # another version has written it: it teaches nothing, and keeps nobody from fitting the next


def main() -> int:
    """Serves fit requests until standard input ends."""
    memory, seconds = int(sys.argv[1]), float(sys.argv[2])
    models = ModelFiles.from_arguments(sys.argv[3:])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.nice(_NICENESS)
    warnings.simplefilter("ignore")  # the numerics' warnings are about fits that the ladder judges by their result
    requests, answers = sys.stdin.buffer, _claim_stdout()
    registry = default_registry()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while (request := read_frame(requests, ToWorker)) is not None:
            signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM has no handler, so it ends the process
            models.refresh()  # what cannot be used, the engine tells
            messages = [forecast_here(request)] if isinstance(request, ForecastRequest) else climb(request, registry)
            for message in messages:
                answers.write(encode_frame(message))
                answers.flush()
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            if _address_space() > _FULL * memory:
                break  # a forecaster that leaks has its memory taken back: the next fit gets a new worker
    return 0


def _address_space() -> int:
    """Bytes of it that this process takes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()


def _claim_stdout() -> BinaryIO:
    """Standard output for frames alone: whatever a library prints goes to standard error."""
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames


if __name__ == "__main__":
    raise SystemExit(main())
