"""No series, however odd, is answered with a number that is not finite, negative, or absent: engine to client."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import grpc
import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scaler.keda.client import ref
from tests.support.whole_server import serving

if TYPE_CHECKING:
    from scaler.keda.client import Reading

METADATA = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10", "historyTimeWindow": "1d"}
REFUSALS = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION}


async def answer(values: np.ndarray, forecaster: str) -> Reading:
    """What KEDA gets over a real channel once the engine has learned what it can from the series."""
    trigger = ref(METADATA | {"forecaster": forecaster})
    async with serving(values) as server:
        await server.keda.poll(trigger)
        await server.engine.settle()
        return await server.keda.poll(trigger)


odd = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, -1.0, 1.0, 1e-300, 1e15, 9.1e15, 1e300, -1e300, 5e-324, math.nan, math.inf, -math.inf]),
    st.floats(0.0, 1000.0),
)


@st.composite
def series(draw: st.DrawFn) -> np.ndarray:
    """Anything: short and wild, or a long one made of a pattern with odd samples in it and gaps."""
    wild = draw(st.lists(odd, max_size=12))
    length = draw(st.sampled_from([0, 0, 5, 130, 1500]))
    if not length:
        return np.array(wild, dtype=np.float64)
    base = draw(st.sampled_from([0.0, 1.0, 100.0, 1e6, 1e14]))
    season = draw(st.sampled_from([0.0, 0.5, 1.0]))
    values = base * (1.0 + season * np.sin(np.arange(length) / 9.0))
    values[draw(st.integers(0, length - 1)) :: draw(st.integers(1, length))] = math.nan
    for value in wild:
        values[draw(st.integers(0, length - 1))] = value
    return values


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(values=series(), forecaster=st.sampled_from(["naive", "seasonal-naive", "seasonal-profile"]))
@example(values=np.full(1500, math.nan), forecaster="seasonal-profile")
@example(values=np.array([1e300]), forecaster="naive")
@example(values=np.full(1500, -5.0), forecaster="seasonal-profile")
@example(values=np.full(1500, 7.0), forecaster="seasonal-profile")
@example(values=np.append(np.zeros(1499), 9e14), forecaster="seasonal-profile")
@example(values=np.append(np.full(1499, 1e308), 5.0), forecaster="seasonal-profile")
def test_no_series_however_odd_gives_a_bad_answer(values: np.ndarray, forecaster: str) -> None:
    reading = asyncio.run(answer(values, forecaster))
    known = len(values) > 0 and math.isfinite(values[-1]) and 0.0 <= values[-1] * 1.07 <= 9e15
    if reading.ok:
        assert known
        assert math.isfinite(reading.value)
        assert reading.value >= 1.07 * values[-1] * (1.0 - 1e-12)  # a forecast adds to the load, and takes nothing away
        assert reading.value <= 9.0e15
    else:
        assert reading.code in REFUSALS
        assert reading.text
        assert not known
