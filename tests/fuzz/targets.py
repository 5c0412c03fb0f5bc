"""What a fuzzer feeds: one function for each kind of input that comes from outside, each with a few good examples.

A target takes any bytes and returns; whatever it raises is a finding. Hypothesis runs them all within the suite
(tests/property/test_fuzz_targets.py), atheris by coverage and for as long as one likes (`make fuzz`).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import msgspec
import numpy as np

from forecasting.errors import InvalidState
from forecasting.models.naive import Naive
from forecasting.serialise import dumps, loads
from forecasting.series import TimeSeries
from scaler.decision import Snapshot, decide
from scaler.edge.desk import TriggerDesk
from scaler.errors import ForesailError, InvalidSettings, InvalidTrigger, SourceError
from scaler.keda.calls import Calls
from scaler.keda.client import ref
from scaler.keda.encoding import activity, metrics
from scaler.keda.servicer import Servicer
from scaler.keda.status import Status
from scaler.keda.streams import Streams
from scaler.pb.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
)
from scaler.policy import policy_of
from scaler.promql import LONGEST_QUERY, MOST_OPERATORS, operators
from scaler.settings import Settings, load_settings
from scaler.sources.base import SourceSpec
from scaler.sources.exposition import ExpositionSource
from scaler.sources.fetch import RetryPolicy, Timing, request_headers
from scaler.sources.prometheus import PrometheusSource
from scaler.store.sqlite import SqliteStore
from scaler.tenancy.promql import enforce
from scaler.training.files import KINDS
from scaler.trigger import parse_trigger
from scaler.trigger.signal import rate_windows, signal_warning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from google.protobuf.message import Message

    from scaler.keda.core_call import AtOnce

__all__ = ["TARGETS", "Target"]

NOW = 1_800_000_000
MOST_BYTES = 1 << 20
_ANSWERS: dict[str, type[Message]] = {
    "GetMetricSpec": GetMetricSpecResponse,
    "GetMetrics": GetMetricsResponse,
    "IsActive": IsActiveResponse,
}
_LEAST = {"serverAddress": "http://prometheus:9090", "query": "up", "threshold": "1"}


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        feed: Takes any bytes.
        examples: Good ones, to begin with.
    """

    feed: Callable[[bytes], None]
    examples: tuple[bytes, ...]


# --- what KEDA sends ---------------------------------------------------------------------------


def metadata(data: bytes) -> None:
    """Names and values, each ended by a zero byte, over the least that a trigger needs."""
    texts = data.decode("utf-8", "surrogateescape").split("\0")
    given = _LEAST | dict(zip(texts[::2], texts[1::2], strict=False))
    try:
        config = parse_trigger(namespace="shop", name="web", metadata=given)
    except InvalidTrigger as error:
        assert error.problems
        return
    try:
        request_headers(config.resolve({}))
    except InvalidTrigger as error:
        assert error.problems
    policy = policy_of(config, Settings())
    known = Snapshot(trigger=config.key.id, series=config.series_id, made_at=NOW, observed=5.0, observed_at=NOW)
    answer = metrics(config, decide(known, policy, now=NOW))
    assert all(0.0 <= value.metricValueFloat < math.inf for value in answer.metricValues)
    assert activity(decide(known, policy, now=NOW)).result in {True, False}
    signal_warning(config.query)
    rate_windows(config.query)


def call(data: bytes) -> None:
    """The request of each call that is answered at once: it gets a message or a status, whatever it holds."""
    for method, answer in _servicer().items():
        found = answer(data, _Caller())
        if isinstance(found, Status):
            assert found.code is not grpc.StatusCode.INTERNAL
            assert found.text
        elif found is not None:
            assert _ANSWERS[method.rpartition("/")[2]].FromString(found).ByteSize() == len(found)


class _Caller:
    def auth_context(self) -> dict[str, Any]:
        return {}


@cache
def _servicer() -> dict[str, AtOnce]:
    desk = TriggerDesk(settings=Settings(), tell=lambda _: None, clock=lambda: NOW)
    calls = Calls(observer=lambda *_: None)
    streams = Streams(desk, most=1)
    return dict(Servicer(desk, calls=calls, streams=streams, deadline=1.0, most_waiting=1).at_once())


def promql(data: bytes) -> None:
    """A query that a tenant's matchers go into."""
    query = data.decode("utf-8", "replace")
    try:
        sent = enforce(query, (("namespace", "shop"),))
    except ForesailError:
        return
    # with its matchers it may be longer than what is taken from a tenant; it is not parsed again
    if len(sent) <= LONGEST_QUERY and operators(sent) <= MOST_OPERATORS:
        assert enforce(sent, (("namespace", "shop"),)) == sent


# --- what sources answer -----------------------------------------------------------------------


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 4096):
            yield self.body[start : start + 4096]


def _source(kind: Any, bodies: list[bytes], **headers: str) -> Any:
    async def sleep(_seconds: float) -> None: ...

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=_Body(bodies.pop(0)))

    now = iter(range(NOW, NOW + 1000))
    return kind(
        SourceSpec(kind="any", address="http://prometheus:9090"),
        client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        retry=RetryPolicy(attempts=1),
        max_bytes=MOST_BYTES,
        timing=Timing(sleep=sleep, now=lambda: float(next(now))),
    )


def answer(data: bytes) -> None:
    """The body of Prometheus's answer, to an instant query and to a range query, in plain and in company."""

    async def ask() -> None:
        source = _source(PrometheusSource, [data] * 8)
        for asked in (
            source.instant("up"),
            source.range("up", start=NOW - 60, end=NOW, step=60),
            source.instant_many(["up", "down"]),
        ):
            try:
                given = await asked
            except SourceError as error:
                assert str(error)
            else:
                samples = given if isinstance(given, list) else [given]
                assert all(isinstance(one, SourceError) or _sound(one) for one in samples)

    asyncio.run(ask())


def _sound(given: Any) -> bool:
    return not np.isinf(given.values).any() if isinstance(given, TimeSeries) else math.isfinite(given.value)


def exposition(data: bytes) -> None:
    """A target's own metrics page, in both formats, two scrapes."""

    async def ask(content_type: str) -> None:
        source = _source(ExpositionSource, [data, data], **{"Content-Type": content_type})
        for _ in range(2):
            try:
                assert math.isfinite((await source.instant("load")).value)
            except SourceError as error:
                assert str(error)

    for content_type in ("text/plain", "application/openmetrics-text; version=1.0.0"):
        asyncio.run(ask(content_type))


def compressed(data: bytes) -> None:
    """A compressed body, whole or broken, small or a bomb: what is kept of it is bounded."""

    async def ask() -> None:
        source = _source(PrometheusSource, [data], **{"Content-Encoding": "gzip"})
        try:
            assert math.isfinite((await source.instant("up")).value)
        except SourceError as error:
            assert str(error)

    asyncio.run(ask())


# --- files -------------------------------------------------------------------------------------


def settings_file(data: bytes) -> None:
    """The settings, any bytes as a TOML file."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(data)
        file.flush()
        try:
            load_settings(path=Path(file.name), environ={"SECRET": "a-secret-of-the-settings"}, overrides={})
        except InvalidSettings as error:
            assert error.problems
            assert "a-secret-of-the-settings" not in str(error)


def model(data: bytes) -> None:
    """A fitted forecaster, as the store keeps it."""
    try:
        fitted = loads(data)
    except InvalidState as error:
        assert str(error)
        return
    assert dumps(fitted)


def trained(data: bytes) -> None:
    """A file of `foresail train`."""
    for kind in KINDS.values():
        try:
            kind.type.from_bytes(data)
        except InvalidState as error:
            assert str(error)


def snapshot(data: bytes) -> None:
    """A last-good snapshot of the store, and the decision made of it."""
    try:
        known = msgspec.msgpack.decode(data, type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # what the engine lets pass
        return
    config = parse_trigger(namespace="shop", name="web", metadata=_LEAST)
    try:
        served = decide(known, policy_of(config, Settings()), now=NOW).value
    except ForesailError:
        return
    assert 0.0 <= served < math.inf


def store(data: bytes) -> None:
    """The store's file, any bytes: it is read, or set aside and begun anew; it always takes what comes next."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        path = Path(directory) / "foresail.db"
        path.write_bytes(data)
        kept = SqliteStore(path)
        try:
            series = TimeSeries(NOW // 60 * 60, 60, np.array([1.0, 2.0]))
            kept.append([("a", series)])
            assert kept.history("a", step=60, since=0).values[-1] == 2.0
            kept.model("a", "naive")
            list(kept.snapshots())
        finally:
            kept.close()


# --- good examples -----------------------------------------------------------------------------


def _answer(kind: str, result: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def _pairs(**values: str) -> bytes:
    return "\0".join(part for pair in values.items() for part in pair).encode()


def _fitted() -> bytes:
    series = TimeSeries(NOW // 60 * 60, 60, np.arange(300.0))
    return dumps(Naive().fit(series, horizon=5, levels=(0.5, 0.9)))


def _store_file(*, format_number: int = 4) -> bytes:
    """A store's file; SQLite knows the format numbers 1 to 4."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "foresail.db"
        kept = SqliteStore(path)
        kept.append([("a", TimeSeries(NOW // 60 * 60 - 600, 60, np.array([1.0, 2.0])))])
        kept.close()
        data = path.read_bytes()
        return data[:47] + bytes([format_number]) + data[48:]


_PAGE = b'# TYPE load_total counter\nload_total{a="b"} 5\nload 3\n# EOF\n'
_SETTINGS = b"""grpc_address = "[::]:6000"
allow_addresses = ["127.0.0.1:9090"]
tls_grpc_clients = ["keda"]
[sources.main]
address = "http://prometheus:9090"
auth_modes = ["bearer"]
bearer_token_env = "SECRET"
[tenants.shop]
namespaces = ["shop*"]
sources = ["main"]
labels = { namespace = "{namespace}" }
[readers.ops]
namespaces = ["*"]
token_env = "SECRET"
[[events]]
name = "launch"
at = 2026-11-27T08:00:00
for = "2h"
factor = 2
"""

TARGETS: dict[str, Target] = {
    "metadata": Target(
        metadata,
        (
            _pairs(leadTime="3m", quantile="0.95", customHeaders="X-Scope-OrgID=shop", queryParameters="dedup=true"),
            _pairs(authModes="tls,basic", usernameFromEnv="u", passwordFromEnv="p", historyTimeWindow="14d"),
            _pairs(events="launch: at 2026-11-27T08:00 for 2h factor 2\nnews: cron 0 20 * * 1 for 3m floor 5"),
        ),
    ),
    "call": Target(
        call,
        (
            ref(_LEAST).SerializeToString(),
            ref(_LEAST | {"leadTime": "3m", "scalerAddress": "foresail:6000"}).SerializeToString(),
            GetMetricsRequest(scaledObjectRef=ref(_LEAST), metricName="foresail").SerializeToString(),
        ),
    ),
    "promql": Target(
        promql, (b'sum by (a) (rate(x{b="c"}[2m] offset 5m)) / ignoring(d) group_left y > bool 2', b"-a ^ b # c")
    ),
    "answer": Target(
        answer,
        (
            _answer("vector", [{"metric": {"a": "b"}, "value": [NOW, "5"]}]),
            _answer("matrix", [{"metric": {}, "values": [[NOW - 60, "1"], [NOW, "NaN"]]}]),
            _answer("scalar", [NOW, "7"]),
            b'{"status":"error","errorType":"bad_data","error":"invalid"}',
        ),
    ),
    "exposition": Target(exposition, (_PAGE, b"load 1 1800000000000\n", b'load{le="+Inf"} NaN\n')),
    "compressed": Target(
        compressed,
        (gzip.compress(_answer("scalar", [NOW, "7"])), gzip.compress(bytes(64 * MOST_BYTES))[: 1 << 16]),
    ),
    "settings": Target(settings_file, (_SETTINGS,)),
    "model": Target(model, (_fitted(),)),
    "trained": Target(trained, (KINDS["fleet"].known.shipped().to_bytes()[: 1 << 16],)),
    "snapshot": Target(
        snapshot,
        (msgspec.msgpack.encode(Snapshot(trigger="t", series="s", made_at=NOW, observed=5.0, observed_at=NOW)),),
    ),
    "store": Target(store, (_store_file(), _store_file(format_number=9))),
}
