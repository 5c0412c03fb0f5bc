"""Tokens on the HTTP side: each reader sees its namespaces, and nothing tells of the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx
import pytest

from scaler.decision import DecisionPolicy
from scaler.decision.change import Change
from scaler.telemetry.filter import of_namespaces
from scaler.tenancy.readers import Reader
from scaler.trigger import parse_trigger
from scaler.web.access import Access
from scaler.web.app import make_app
from scaler.web.board import ReadyState
from scaler.web.listen import listening
from scaler.web.log import DecisionPages
from scaler.web.views import Board
from tests.support.known import Known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = 1_700_000_000.0
SHOP, OPS = "the-token-of-the-shop", "the-token-of-the-operators"
PAGE = b"""# HELP foresail_served_value What GetMetrics answers now.
# TYPE foresail_served_value gauge
foresail_served_value{namespace="bank",scaled_object="a",trigger="0",metric="m"} 1.0
foresail_served_value{namespace="shop",scaled_object="b",trigger="1",metric="m"} 2.0
# HELP foresail_active What IsActive answers now.
# TYPE foresail_active gauge
foresail_active{namespace="bank",scaled_object="namespace=\\"shop\\"",trigger="0",metric="m"} 1.0
# HELP foresail_triggers Triggers in use.
# TYPE foresail_triggers gauge
foresail_triggers 2.0
# HELP foresail_namespace_triggers Of one namespace.
# TYPE foresail_namespace_triggers gauge
foresail_namespace_triggers{namespace="shop"} 1.0
foresail_namespace_triggers{namespace="bank"} 1.0
"""
SHOPS_PAGE = b"""# HELP foresail_served_value What GetMetrics answers now.
# TYPE foresail_served_value gauge
foresail_served_value{namespace="shop",scaled_object="b",trigger="1",metric="m"} 2.0
# HELP foresail_namespace_triggers Of one namespace.
# TYPE foresail_namespace_triggers gauge
foresail_namespace_triggers{namespace="shop"} 1.0
"""


def reader(name: str, token: str, *namespaces: str) -> Reader:
    return Reader(name=name, namespaces=namespaces, digest=hashlib.sha256(token.encode()).digest())


def known(namespace: str) -> Known:
    config = parse_trigger(
        namespace=namespace,
        name="web",
        metadata={"serverAddress": "http://prometheus:9090", "query": f"{namespace}_load", "threshold": "1"},
    )
    return Known(config=config, policy=DecisionPolicy(threshold=1.0, lead_time=180.0, asking_delay=45.0))


class Log:
    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        del namespace, name, since
        return [("t", Change.failed("no load", at=NOW))]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async def metrics_page() -> bytes:
        return PAGE

    entries = [known("shop"), known("bank")]
    app = make_app(
        board=Board(entries=lambda: entries, ready=lambda: ReadyState(ready=True), clock=lambda: NOW),
        metrics_page=metrics_page,
        decisions=DecisionPages(Log(), clock=lambda: NOW),
        access=Access(readers=lambda: (reader("shop", SHOP, "shop", "shop-*"), reader("ops", OPS, "*"))),
    )
    async with (
        listening(app, "127.0.0.1:0") as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as session,
    ):
        yield session


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ({}, "is missing"),
        (bearer("the-token-of-the-sho"), "is none of this server's"),
        ({"Authorization": f"Basic {SHOP}"}, "is none of this server's"),
        ({"Authorization": "Bearer"}, "is none of this server's"),
        ({"Authorization": b"Bearer \xff"}, "is none of this server's"),
    ],
)
async def test_without_a_good_token_there_are_the_probes_only(
    client: httpx.AsyncClient, headers: dict[str, str], what: str
) -> None:
    for path in ("/", "/metrics", "/api/v1/triggers", "/api/v1/triggers/shop/web/explain", "/nowhere"):
        reply = await client.get(path, headers=headers)
        assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert reply.json()["error"] == (
            f"the token {what}: send one of the server's [readers.NAME] as Authorization: Bearer TOKEN; "
            "'foresail explain' takes it from FORESAIL_TOKEN or --token-file"
        )
    for path in ("/healthz", "/readyz"):
        assert (await client.get(path, headers=headers)).status_code == 200


async def test_each_sees_its_own(client: httpx.AsyncClient) -> None:
    async def namespaces(token: str) -> list[str]:
        reply = await client.get("/api/v1/triggers", headers=bearer(token))
        return [trigger["namespace"] for trigger in reply.json()["triggers"]]

    assert (await namespaces(SHOP), await namespaces(OPS)) == (["shop"], ["bank", "shop"])
    assert (await client.get("/metrics", headers=bearer(OPS))).content == PAGE
    assert (await client.get("/metrics", headers=bearer(SHOP))).content == SHOPS_PAGE


async def test_what_is_not_its_own_looks_like_what_is_not_there(client: httpx.AsyncClient) -> None:
    async def explained(namespace: str, token: str) -> httpx.Response:
        return await client.get(f"/api/v1/triggers/{namespace}/web/explain", headers=bearer(token))

    assert (await explained("shop", SHOP)).json()["triggers"][0]["query"] == "shop_load"
    assert (await explained("bank", OPS)).json()["triggers"][0]["query"] == "bank_load"
    hidden, missing = await explained("bank", SHOP), await explained("none", SHOP)
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json()["error"].replace("bank/web", "none/web") == missing.json()["error"]

    async def logged(namespace: str, token: str) -> int:
        reply = await client.get(f"/api/v1/triggers/{namespace}/web/decisions", headers=bearer(token))
        return len(reply.json()["decisions"])

    assert [await logged(*asked) for asked in (("shop", SHOP), ("bank", SHOP), ("bank", OPS))] == [1, 0, 1]


def test_the_filter_keeps_nothing_where_nothing_may_be_seen() -> None:
    assert of_namespaces(PAGE, lambda _: False) == b""
