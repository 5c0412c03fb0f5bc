"""Tenants on one real Prometheus, through a real server: each reads its own, whatever it writes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from scaler.keda.client import KedaClient, ref
from scaler.tenancy.promql import enforce
from tests.support.server import Server, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP, BANK = 3.0, 1000.0
QUOTAS = {"triggers": 4, "series": 3, "bytes": 10_000, "fits": 2}
TOKENS = {"shop": "the-shop-s-own-token", "ops": "the-operators-token"}
QUERIES = [
    "sum(load)",
    "sum(load) or sum(secret)",
    "load or on() secret",
    "sum(load) # \r or sum(secret)",
    r'sum(load{job="x\"} or secret{job=\"y"})',
    'sum(load{job=`x"} or secret{job="y`})',
    r'label_replace(load, "job", "\"), secret, (\"", "", "")',
    '{__name__=~"load|secret"}',
    "max_over_time(secret[5m])",
    "sum(sum_over_time(load[2m:30s] offset 30s))",
    'count_values("secret", secret)',
    "-load ^ 2 + load * on() group_left() sum(secret)",
    "absent(secret)",
    "topk(1, load) and on() load unless on() secret",
    'quantile(0.5, load) > bool scalar(secret{namespace=~".*"})',
]


@pytest.fixture
def prometheus(prometheus_server: Any) -> Any:
    now = int(time.time())
    times = range(now - 900, now, 15)

    def series(name: str, namespace: str, value: float) -> tuple[str, dict[str, str], list[tuple[float, float]]]:
        return name, {"namespace": namespace, "instance": "i"}, [(float(t), value) for t in times]

    return prometheus_server(
        [series("load", "shop", SHOP), series("load", "bank", BANK), series("secret", "bank", BANK)]
    )


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_reads_another_namespace(prometheus: Any, query: str) -> None:
    """Asked of Prometheus itself: what it makes of the query that is sent."""
    sent = enforce(query, (("namespace", "shop"),))
    of_shop = prometheus.query(sent, at=time.time() - 20)
    assert not [result for result in of_shop if result["metric"].get("namespace", "shop") != "shop"]
    assert all(abs(float(result["value"][1])) < BANK for result in of_shop)


@pytest.mark.parametrize("query", [query.replace("secret", "load") for query in QUERIES])
def test_the_query_that_is_sent_means_what_was_written(prometheus: Any, query: str) -> None:
    """A matcher that every series fulfils changes nothing: what is written anew is the same query."""
    at = time.time() - 20
    written, sent = (prometheus.query(text, at=at) for text in (query, enforce(query, (("instance", "i"),))))
    assert sorted(map(json.dumps, written)) == sorted(map(json.dumps, sent))


@pytest.fixture
def server(tmp_path: Path, prometheus: Any) -> Iterator[Server]:
    one = Server(tmp_path, "http://unused:1")
    one.environment = {f"TOKEN_{name.upper()}": token for name, token in TOKENS.items()}
    one.more_settings = f"""
[sources.main]
address = "{prometheus.url}"

[tenants.all]
namespaces = ["shop", "bank"]
sources = ["main"]
labels = {{ namespace = "{{namespace}}" }}

[readers.shop]
namespaces = ["shop"]
token_env = "TOKEN_SHOP"

[readers.ops]
namespaces = ["*"]
token_env = "TOKEN_OPS"
"""
    yield one
    one.kill()


def asked(server: Server, path: str, token: str) -> tuple[int, str]:
    request = urllib.request.Request(f"{server.http}{path}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 -- our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 -- our own server
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_two_tenants_of_one_server(server: Server, prometheus: Any) -> None:
    metadata = {"source": "main", "query": "sum(load)", "threshold": "10", "forecaster": "naive", "mode": "observe"}
    refused = {
        "address": {"serverAddress": prometheus.url, "query": "sum(load)", "threshold": "10"},
        "other": metadata | {"query": 'sum(load{namespace="bank"})'},
        "source": metadata | {"source": "mian"},
    }
    await server.start()
    async with KedaClient(server.grpc) as keda:
        for namespace, value in (("shop", SHOP), ("bank", BANK)):
            reading = await keda.poll(ref(metadata, namespace=namespace))
            assert (reading.code, reading.value) == (grpc.StatusCode.OK, value), reading.text
        for name, given in refused.items():
            reading = await keda.poll(ref(given, namespace="shop", name=name))
            assert reading.code is grpc.StatusCode.PERMISSION_DENIED, f"{name}: {reading.text}"
        reading = await keda.poll(ref(metadata, namespace="stranger"))
        assert (reading.code, reading.text.partition(":")[0]) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "namespace stranger belongs to no tenant of this server",
        )

    async def counted() -> bool:
        return "foresail_namespace_series" in asked(server, "/metrics", TOKENS["ops"])[1]

    await until(counted, lambda: "the engine's metrics never came")
    for path, mark in (("/api/v1/triggers", '"namespace":"{}"'), ("/metrics", 'namespace="{}"')):
        status, page = asked(server, path, TOKENS["shop"])
        assert (status, mark.format("shop") in page, mark.format("bank") in page) == (200, True, False), path
        assert mark.format("bank") in asked(server, path, TOKENS["ops"])[1]
        assert asked(server, path, "no-token-of-anybody")[0] == 401
    assert asked(server, "/api/v1/triggers/shop/web/explain", TOKENS["shop"])[0] == 200
    assert asked(server, "/api/v1/triggers/bank/web/explain", TOKENS["shop"])[0] == 404
    server.terminate()
    assert not [token for token in TOKENS.values() if token in server.log.read_text()]


async def test_a_noisy_namespace_is_held_to_its_quotas_and_its_neighbour_notices_nothing(
    server: Server, prometheus: Any
) -> None:
    """Triggers, series and bytes beyond the quota are refused, fits wait; what is shown of it is its own reader's."""
    server.allow = prometheus.url.removeprefix("http://")
    for quota, most in QUOTAS.items():
        server.more_settings += f"""
[tenants.of-{quota}]
namespaces = ["noisy-{quota}"]
own_addresses = true
namespace_{quota} = {most}
"""
    metadata = {"threshold": "10", "forecaster": "naive", "queryStep": "15s", "historyTimeWindow": "1h"}
    own = {**metadata, "serverAddress": prometheus.url}
    await server.start()
    async with KedaClient(server.grpc) as keda:

        async def neighbour_is_served() -> None:
            reading = await keda.poll(ref({**metadata, "source": "main", "query": "load", "mode": "observe"}))
            assert (reading.ok, reading.value) == (True, SHOP), reading.text

        await neighbour_is_served()
        for quota, most in QUOTAS.items():
            refused = []
            for number in range(6):
                query = f"vector({number}) # a series of its own, of {quota}"
                trigger = ref(own | {"query": query}, namespace=f"noisy-{quota}", name=f"web-{number}")
                reading = await keda.poll(trigger)
                if not reading.ok:
                    assert reading.code is grpc.StatusCode.RESOURCE_EXHAUSTED, reading.text
                    assert f"its quota namespace_{quota} is {most}" in reading.text
                    refused.append(number)
            assert refused == {"triggers": [4, 5], "series": [3, 4, 5], "bytes": [1, 2, 3, 4, 5], "fits": []}[quota]
            await neighbour_is_served()

        async def most_wait() -> bool:
            pages = [
                json.loads(asked(server, f"/api/v1/triggers/noisy-fits/web-{number}/explain", TOKENS["ops"])[1])
                for number in range(6)
            ]
            notes = [page["triggers"][0]["note"] for page in pages]
            # two fits: of two series, or of one and its test on the past
            return sum("its quota namespace_fits allows" in note for note in notes) in (4, 5)

        await until(most_wait, lambda: asked(server, "/metrics", TOKENS["ops"])[1])

        async def counted() -> bool:
            page = asked(server, "/metrics", TOKENS["ops"])[1]
            taken = {"triggers": 4, "series": 3, "fits": 2}
            lines = [f'foresail_namespace_{quota}{{namespace="noisy-{quota}"}} {taken[quota]}.0' for quota in taken]
            return all(line in page for line in lines)

        await until(counted, lambda: asked(server, "/metrics", TOKENS["ops"])[1])
        await neighbour_is_served()
    assert "noisy" not in asked(server, "/metrics", TOKENS["shop"])[1]
    assert "noisy" not in asked(server, "/api/v1/triggers", TOKENS["shop"])[1]
