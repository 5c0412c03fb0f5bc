from __future__ import annotations

import pytest

from tests.support.desk import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def impatient() -> Bench:
    return Bench(wait=0.0)
