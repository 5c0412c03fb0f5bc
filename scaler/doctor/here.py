"""This machine: where history is kept, its room, the store's file, and whether a fit can be made."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from scaler.doctor.check import Check, Finding, fail, good, warn
from scaler.engine.fits import FitLost, FitPool, Priority
from scaler.engine.messages import FitRequest, Rung
from scaler.engine.process import STORE_FILE
from scaler.store.inspect import inspect
from scaler.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scaler.settings import Settings

__all__ = ["machine_checks"]

_BYTES_A_SAMPLE = 10  # in the store's file, as measured with 2,000 series
_MINUTE = 60
_LITTLE, _TOO_LITTLE = 1 << 30, 64 << 20  # bytes: of the latter, the store's log alone may take all
_FIT_WITHIN = 30.0  # seconds; a worker starts in two
_SERIES = np.arange(240, dtype=np.float64)


def machine_checks(
    about: str,
    settings: Settings,
    *,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    worker: Sequence[str] | None = None,
) -> list[Check]:
    """Checks of what a server needs of its machine.

    Args:
        about: What reports call the machine.
        settings: Where and how the server works.
        free: Bytes free at a directory.
        worker: What to run instead of the fit worker, to inject faults.
    """

    async def room() -> Finding:
        return _room(settings, free(_existing(settings.data_dir)))

    writable = Check(about=about, name="data directory", ask=lambda: asyncio.to_thread(_writable, settings.data_dir))
    return [
        writable,
        Check(about=about, name="free space", ask=room),
        Check(
            about=about,
            name="store",
            ask=lambda: asyncio.to_thread(_store, settings.data_dir / STORE_FILE),
            mend=f"make the file readable for user id {os.getuid()}, or give another data_dir",
        ),
        Check(about=about, name="fit worker", ask=lambda: _fit(settings, worker)),
    ]


def _existing(path: Path) -> Path:
    """The directory itself, or the nearest one above it that is there."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def _writable(path: Path) -> Finding:
    """Tries it out: only that finds a read-only mount, a quota or a full disk."""
    there = _existing(path)
    mend = (
        f"make it writable for user id {os.getuid()}, or set data_dir to a directory that is; in Kubernetes, a mounted "
        "volume and securityContext.fsGroup do that"
    )
    if not there.is_dir():
        return fail(f"{there} is not a directory", "set data_dir to one")
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"foresail")
            file.flush()
    except OSError as error:
        return fail(f"{there} cannot be written: {error.strerror}", mend)
    if there != path.absolute():
        return good(f"{path} is not there yet and can be made")
    return good(f"{path} can be written")


def _room(settings: Settings, free: int) -> Finding:
    a_series = settings.history_retention / _MINUTE * _BYTES_A_SAMPLE
    found = (
        f"{_size(free)} free: the histories of about {int(free / a_series):,} series, one sample a minute for "
        f"{duration(settings.history_retention)}"
    )
    mend = "free space there, set data_dir to a larger disk, or lower history_retention"
    if free < _TOO_LITTLE:
        return fail(found, mend)
    return warn(found, mend) if free < _LITTLE else good(found)


def _size(count: int) -> str:
    if count < 2**20:
        return f"{count / 2**10:.0f} KiB"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _store(path: Path) -> Finding:
    if not path.exists():
        return good(f"{path} is not there yet: it is made at the first start")
    seen = inspect(path)
    if seen.problem:
        return warn(
            f"{path} cannot be used: {seen.problem}",
            "the server puts it aside at its start, under a new name beside it, and fetches the history again; move it "
            "away yourself if you want to keep it",
        )
    checked = "" if seen.complete else "; too large to be checked in whole"
    answers = plural(seen.snapshots, "last answer")
    return good(f"{path} holds {plural(seen.series, 'series')} and {answers} in {_size(seen.size)}{checked}")


async def _fit(settings: Settings, worker: Sequence[str] | None) -> Finding:
    """Has a real worker fit the simplest method."""
    pool = FitPool(
        workers=1, timeout=min(_FIT_WITHIN, settings.fit_timeout), memory=settings.fit_memory, command=worker
    )
    request = FitRequest(
        ladder=[Rung("naive")],
        start=0,
        step=_MINUTE,
        values=_SERIES.astype("<f8").tobytes(),
        horizon=5,
        levels=[0.5, 0.9],
    )
    mend = "read what the worker wrote above; raise fit_memory if memory is what it wants, and the container's limits"
    try:
        done = await pool.fit(lambda: request, priority=Priority.NEW)
    except FitLost as lost:
        return fail(f"the fit was lost: {lost}", mend)
    finally:
        await pool.close()
    if done.rung != 0:
        return fail(f"the fit failed: {'; '.join(done.failures)}", mend)
    return good(f"a worker started and fitted naive to {len(_SERIES)} samples")
