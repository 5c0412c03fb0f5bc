"""What holds for all tests."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# as `make test`, the workers and the command line do: on a busy machine the threads of OpenBLAS wait for one another
# ten times longer than these small regressions take. numpy reads this when it is imported, after this file.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# the machine may stall for a moment; how long an example takes is no property of ours. The suite's examples are the
# same in every run: a change is judged by itself, not by what chance finds on that day. `make fuzz` has others.
settings.register_profile("foresail", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("foresail")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Commands that run in the tests' own process set up its logs: the tests after them must hear as before.

    A handler left behind would write to the closed stream of its own test, and mask the records that others look at.
    """
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("httpx", "httpcore", "aiohttp.access"))]
    levels = [logger.level for logger in loggers]
    handlers = list(root.handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    # pytest's own handlers come and go around this fixture: only what the test itself left is taken away
    for handler in set(root.handlers) - set(handlers):
        if not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
