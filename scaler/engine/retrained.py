"""Takes up trained models whose files have been replaced, while everything goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from scaler.telemetry.log import get_logger
from scaler.training.files import KINDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler.engine.engine import Engine
    from scaler.engine.modelling import Modelling
    from scaler.training.in_use import ModelFiles

__all__ = ["ModelWatch"]

_EVERY = 10.0  # seconds between two looks at the files

log = get_logger(__name__)


class ModelWatch:
    """Looks at the files of trained models.

    Args:
        files: Which.
        modelling: Fits anew what builds on a model that has been replaced.
        sleep: How to wait.
    """

    def __init__(
        self, files: ModelFiles, modelling: Modelling, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._files, self._modelling, self._sleep = files, modelling, sleep

    async def look(self, engine: Engine | None = None) -> None:
        """One look; what cannot be used is logged, and what was in use is kept."""
        for change in await asyncio.to_thread(self._files.refresh):
            file = str(change.path)
            if change.problem:
                log.error("model.unusable", kind=change.kind, file=file, reason=change.problem, kept="the one before")
                continue
            log.info("model.in_use", kind=change.kind, file=file, digest=change.digest)
            for series in engine.series if engine is not None else ():
                self._modelling.renew(series, KINDS[change.kind].used_by)

    async def run(self, engine: Engine) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            await self._sleep(_EVERY)
            await self.look(engine)
