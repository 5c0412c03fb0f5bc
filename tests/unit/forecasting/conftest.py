from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.traces import read_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.series import TimeSeries


@pytest.fixture(scope="session")
def trace() -> Callable[[str], TimeSeries]:
    """Reads a slice of a real trace by name."""
    return read_trace
