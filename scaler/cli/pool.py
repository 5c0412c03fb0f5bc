"""Work on all cores, with a progress bar where somebody watches.

Tasks and results go through the pipes that `multiprocessing` lays between a process and its own children, in its own
encoding; nothing of that is kept, or read from anybody else.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from scaler.training.in_use import let_go, take_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor
    from types import TracebackType
    from typing import Self

__all__ = ["Pool", "cores"]

T = TypeVar("T")
R = TypeVar("R")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


class Pool:
    """Maps functions over tasks in `jobs` processes; in this one if that is 1.

    Args:
        jobs: Processes.
        quiet: No progress bar, whoever watches.
        models: Files of trained models that are in use meanwhile, see `scaler.training.in_use.ModelFiles.arguments`.

    Raises:
        ModelUnusable: When it is entered: one of these files cannot be used.
    """

    def __init__(self, jobs: int, *, quiet: bool = False, models: Sequence[str] = ()) -> None:
        self._models = models
        self._executor: Executor | None = None
        self._jobs = jobs
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )

    def __enter__(self) -> Self:
        take_up(self._models)
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)  # they end beside what is left to do
        if self._models:
            let_go()

    def map(self, function: Callable[[T], R], tasks: Sequence[T], *, doing: str) -> list[R]:
        """The function's results in the order of the tasks. What it takes and gives must be sendable.

        Args:
            function: At module level.
            tasks: One call each.
            doing: What the progress bar says.
        """
        results = self._results(function, tasks)
        return list(self._progress.track(results, total=len(tasks), description=doing))

    def _results(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        if self._jobs == 1:
            return map(function, tasks)
        if self._executor is None:
            for name in _THREADS:  # as many threads as cores in each of as many processes as cores are too many
                os.environ.setdefault(name, "1")
            spawned = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._jobs, spawned, initializer=take_up, initargs=(self._models,))
        return self._executor.map(function, tasks)
