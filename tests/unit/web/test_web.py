"""The HTTP side, asked over a real port: health, metrics, triggers, and why they answer what they do."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from aiohttp import web

from scaler.decision import DecisionPolicy, Occurrence, Outlook, Snapshot, decide, reason
from scaler.decision.change import Change
from scaler.errors import AddressRefused, EngineLost, InvalidSettings
from scaler.telemetry.masking import protect
from scaler.trigger import TriggerConfig, parse_trigger
from scaler.web.app import make_app
from scaler.web.board import ReadyState
from scaler.web.listen import listening
from scaler.web.log import DecisionPages
from scaler.web.views import Board

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scaler.errors import ForesailError

NOW = 1_700_000_000.0
CANARY = "canary-5e1d"


@dataclass(kw_only=True)
class Entry:
    config: TriggerConfig
    policy: DecisionPolicy
    snapshot: Snapshot | None = None
    refusal: ForesailError | None = None

    @staticmethod
    def as_of(wall: float) -> float:
        return wall


def entry(
    *,
    namespace: str = "shop",
    name: str = "checkout",
    threshold: str = "100",
    snapshot: Snapshot | None = None,
    refusal: ForesailError | None = None,
    **metadata: str,
) -> Entry:
    config = parse_trigger(
        namespace=namespace,
        name=name,
        metadata={
            "serverAddress": "http://prometheus:9090/prom",
            "query": 'sum(rate(requests_total{app="checkout"}[2m]))',
            "threshold": threshold,
            "leadTime": "3m",
            "authModes": "bearer",
            "bearerTokenFromEnv": CANARY,
            **metadata,
        },
    )
    policy = DecisionPolicy(threshold=config.threshold, lead_time=180.0, asking_delay=45.0, headroom=1.2)
    return Entry(config=config, policy=policy, snapshot=snapshot, refusal=refusal)


def snapshot(*, trusted: bool = True, **changes: object) -> Snapshot:
    outlook = Outlook(
        origin=int(NOW) - 40,
        step=60,
        forecaster="seasonal-profile",
        quantile=0.9,
        peak=(900.0, 1000.0, 1100.0, 1500.0, 1500.0),
        bands={"0.5": 1000.0, "0.9": 1500.0},
        fitted_at=NOW - 3600.0,
        highest=2000.0,
        trusted=trusted,
        verdict="" if trusted else "worse than persistence for two days",
        gain=0.3 if trusted else -0.5,
        coverage=0.92,
        level=0.91,
    )
    made = Snapshot(trigger="t", series="s", made_at=NOW, observed=1000.0, observed_at=NOW - 5.0, outlook=outlook)
    return msgspec.structs.replace(made, **changes)


@dataclass
class World:
    """What the HTTP side shows; tests change it."""

    entries: list[Entry] = field(default_factory=list)
    state: ReadyState = field(default_factory=lambda: ReadyState(ready=True))
    page: bytes = b"# the page\n"
    fault: Exception | None = None

    def ready(self) -> ReadyState:
        if self.fault is not None:
            raise self.fault
        return self.state

    changes: list[tuple[str, Change]] = field(default_factory=list)
    asked: list[tuple[str, str, float]] = field(default_factory=list)

    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        if self.fault is not None:
            raise self.fault
        self.asked.append((namespace, name, since))
        return self.changes

    async def metrics_page(self) -> bytes:
        return self.page


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    board = Board(entries=lambda: world.entries, ready=world.ready, clock=lambda: NOW)
    app = make_app(board=board, metrics_page=world.metrics_page, decisions=DecisionPages(world, clock=lambda: NOW))
    async with (
        listening(app, "127.0.0.1:0") as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        yield http


async def test_liveness_never_follows_anything(world: World, client: httpx.AsyncClient) -> None:
    world.state = ReadyState(ready=False, reason="draining")
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


async def test_readiness_says_whether_calls_can_be_answered(world: World, client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reason": ""})
    world.state = ReadyState(ready=False, reason="draining")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reason": "draining"})


async def test_metrics_are_prometheus_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.text == "# the page\n"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_the_index_lists_every_endpoint(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in ("/healthz", "/readyz", "/metrics", "/api/v1/triggers"):
        assert f"<a href={path}>" in answer.text
        assert (await client.get(path)).status_code == 200
    assert "/api/v1/triggers/{namespace}/{name}/explain" in answer.text


async def test_triggers_are_listed_in_order(world: World, client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/triggers")).json() == {"triggers": []}
    one = entry(snapshot=snapshot())
    world.entries = [one, entry(namespace="a", name="z"), entry(namespace="a", name="b")]
    answer = await client.get("/api/v1/triggers")
    assert answer.headers["Content-Type"] == "application/json"
    listed = answer.json()["triggers"]
    assert [(shown["namespace"], shown["name"]) for shown in listed] == [("a", "b"), ("a", "z"), ("shop", "checkout")]
    assert listed[2] == {
        "namespace": "shop",
        "name": "checkout",
        "trigger": one.config.key.digest,
        "metric": one.config.metric_name,
        "mode": "active",
        "served": 1500.0,
        "active": True,
        "reason": (
            "serving 1500: the 0.9-quantile of the peak within 3m45s (seasonal-profile) is 1500, reached in 3m20s "
            "at the latest; the floor is 1.2 x observed 1000"
        ),
        "observed": 1000.0,
        "observed_age": 5.0,
        "bands": {"0.5": 1000.0, "0.9": 1500.0},
        "forecast_age": 40.0,
        "trusted": True,
        "gain": 0.3,
        "coverage": 0.92,
        "quantile": 0.9,
        "level": 0.91,
        "lead_time": 180.0,
    }
    assert (listed[0]["served"], listed[0]["active"], listed[0]["observed"], listed[0]["trusted"]) == (None,) * 4


async def explained(client: httpx.AsyncClient, path: str = "shop/checkout") -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/triggers/{path}/explain")
    assert answer.status_code == 200
    shown: list[dict[str, Any]] = answer.json()["triggers"]
    return shown


async def test_an_explanation_has_every_part(world: World, client: httpx.AsyncClient) -> None:
    one = entry(snapshot=snapshot(note="ets stepped down", warning="looks like a per-pod average"))
    world.entries = [one, entry(name="other")]
    (shown,) = await explained(client)
    reason = shown.pop("reason")
    assert reason.startswith("serving 1500: the 0.9-quantile of the peak within 3m45s (seasonal-profile)")
    assert shown == {
        "namespace": "shop",
        "name": "checkout",
        "trigger": one.config.key.digest,
        "metric": one.config.metric_name,
        "source": "http://prometheus:9090/prom",
        "query": 'sum(rate(requests_total{app="checkout"}[2m]))',
        "mode": "active",
        "threshold": 100.0,
        "activation_threshold": 0.0,
        "lead_time": 180.0,
        "lead_time_origin": "",
        "window": 225.0,
        "served": 1500.0,
        "would_serve": 1500.0,
        "active": True,
        "observed": {"value": 1000.0, "age": 5.0, "headroom": 1.2, "floor": 1200.0},
        "forecast": {
            "quantile": 0.9,
            "peak": 1500.0,
            "peak_in": 200.0,
            "cap": 4000.0,
            "highest": 2000.0,
            "age": 40.0,
            "model": "seasonal-profile",
            "explanation": "",
            "choice": "",
            "model_age": 3600.0,
            "bands": {"0.5": 1000.0, "0.9": 1500.0},
            "used": True,
        },
        "gate": {"trusted": True, "verdict": "", "gain": 0.3, "coverage": 0.92, "level": 0.91},
        "event": None,
        "note": "ets stepped down",
        "warning": "looks like a per-pod average",
        "source_error": "",
    }


async def test_all_triggers_of_a_scaled_object_are_explained(world: World, client: httpx.AsyncClient) -> None:
    world.entries = [entry(threshold="100"), entry(threshold="200")]
    assert sorted(shown["threshold"] for shown in await explained(client)) == [100.0, 200.0]


async def test_a_forecast_that_is_not_trusted_is_shown_and_not_served(world: World, client: httpx.AsyncClient) -> None:
    world.entries = [entry(snapshot=snapshot(trusted=False))]
    (shown,) = await explained(client)
    assert shown["served"] == 1200.0
    assert shown["forecast"]["peak"] == 1500.0
    assert shown["forecast"]["used"] is False
    assert shown["gate"] == {
        "trusted": False,
        "verdict": "worse than persistence for two days",
        "gain": -0.5,
        "coverage": 0.92,
        "level": 0.91,
    }
    assert shown["reason"] == "serving 1200: 1.2 x observed 1000, because worse than persistence for two days"


async def test_an_announced_event_is_shown_with_what_it_asks_for(world: World, client: httpx.AsyncClient) -> None:
    launch = Occurrence(NOW + 100.0, NOW + 700.0, 2.0, 50.0, "launch", "2026-11-27 18:00 Europe/Berlin")
    world.entries = [entry(snapshot=snapshot(events=(launch,)))]
    (shown,) = await explained(client)
    assert (shown["served"], shown["event"]) == (
        3000.0,
        {
            "name": "launch",
            "factor": 2.0,
            "floor": 50.0,
            "until": "2026-11-27 18:00 Europe/Berlin",
            "asks": 3000.0,
            "used": True,
        },
    )


async def logged(client: httpx.AsyncClient, since: str = "") -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/triggers/shop/checkout/decisions", params={"since": since} if since else {})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["decisions"]
    return found


async def test_the_decision_log_has_every_part(world: World, client: httpx.AsyncClient) -> None:
    one = entry(snapshot=snapshot())
    assert one.snapshot is not None
    decision = decide(one.snapshot, one.policy, now=NOW)
    world.changes = [
        ("abc", Change.of(decision, one.policy, one.snapshot.outlook, at=NOW - 60.0)),
        ("abc", Change.failed("the load is not known: ...", at=NOW)),
    ]
    first, second = await logged(client)
    assert first == {
        "at": NOW - 60.0,
        "trigger": "abc",
        "served": 1500.0,
        "would_serve": 1500.0,
        "active": True,
        "source": "forecast",
        "reason": reason(decision, one.policy, one.snapshot),
        "observed": 1000.0,
        "floor": 1200.0,
        "forecast": 1500.0,
        "cap": 4000.0,
        "forecast_used": True,
        "event": "",
        "event_asks": 0.0,
    }
    assert (second["served"], second["would_serve"], second["active"], second["observed"]) == (None,) * 4
    assert (second["source"], second["reason"]) == ("unknown", "the load is not known: ...")


async def test_the_decision_log_goes_back_as_far_as_asked(world: World, client: httpx.AsyncClient) -> None:
    assert await logged(client) == []
    await logged(client, "30m")
    assert world.asked == [("shop", "checkout", NOW - 21_600.0), ("shop", "checkout", NOW - 1800.0)]


async def test_a_span_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/triggers/shop/checkout/decisions", params={"since": "yesterday"})
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error": 'since is "yesterday": it must be a duration from 1m to 800d, such as 90s, 5m, 1h30m or 7d',
        },
    )


async def test_without_the_engine_there_is_no_decision_log(world: World, client: httpx.AsyncClient) -> None:
    world.fault = EngineLost("the engine process did not answer within 5s")
    answer = await client.get("/api/v1/triggers/shop/checkout/decisions")
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "the decision log cannot be read now: the engine process did not answer within 5s"},
    )


async def test_before_the_first_value_there_is_nothing_but_the_reason(world: World, client: httpx.AsyncClient) -> None:
    world.entries = [entry()]
    (shown,) = await explained(client)
    for part in ("served", "would_serve", "active", "observed", "forecast", "gate", "event"):
        assert shown[part] is None
    assert shown["reason"] == "the load is not known yet: the first answer of the source is awaited"


async def test_while_the_answer_is_an_error_the_parts_are_shown(world: World, client: httpx.AsyncClient) -> None:
    world.entries = [entry(snapshot=snapshot(observed_at=NOW - 600.0, error="prometheus:9090 refuses the connection"))]
    (shown,) = await explained(client)
    assert shown["served"] is None
    assert shown["observed"]["age"] == 600.0
    assert shown["forecast"]["peak"] is None
    assert shown["forecast"]["used"] is False
    assert shown["source_error"] == "prometheus:9090 refuses the connection"
    assert shown["reason"] == (
        "the load is not known: the last value is 10m old, older than the 5m that a value is good for: "
        "prometheus:9090 refuses the connection"
    )


async def test_an_engine_that_refuses_a_trigger_is_the_reason(world: World, client: httpx.AsyncClient) -> None:
    world.entries = [entry(refusal=AddressRefused("serverAddress http://prometheus:9090 is not allowed"))]
    (shown,) = await explained(client)
    assert shown["reason"] == "serverAddress http://prometheus:9090 is not allowed"


async def test_no_secret_is_shown(world: World, client: httpx.AsyncClient) -> None:
    protect(CANARY)
    seen = entry(snapshot=snapshot(observed=None, error=f"401 for Bearer {CANARY}"))
    world.entries = [seen, entry(threshold="200", refusal=AddressRefused(f"no: {CANARY}"))]
    assert seen.config.bearer_token == CANARY
    for path in ("/api/v1/triggers", "/api/v1/triggers/shop/checkout/explain"):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert CANARY not in answer.text
        assert "401 for Bearer ***" in answer.text


async def test_a_named_source_is_shown_by_its_name(world: World, client: httpx.AsyncClient) -> None:
    world.entries = [entry(source="main", serverAddress="", authModes="", bearerTokenFromEnv="")]
    (shown,) = await explained(client)
    assert shown["source"] == "main"


# --- errors ------------------------------------------------------------------------------------------------


async def test_a_scaled_object_that_nobody_knows(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/triggers/shop/nothing/explain")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "no trigger of ScaledObject shop/nothing is in use here: KEDA has not called for it since this server "
        "started, or not for long; /api/v1/triggers lists those in use, and with several replicas another one may "
        "have been called"
    }


async def test_a_path_that_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/trigger")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "there is no /api/v1/trigger here; there are /healthz, /readyz, /metrics, /api/v1/triggers, "
        "/api/v1/triggers/{namespace}/{name}/explain, /api/v1/triggers/{namespace}/{name}/decisions"
    }


async def test_a_method_that_is_not_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/metrics", content=b"x")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json() == {"error": "/metrics is asked with GET or HEAD, not POST"}


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics", "/api/v1/triggers"):
        head, get = await client.head(path), await client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


async def test_a_bug_is_told_to_the_log_and_not_to_the_caller(
    world: World, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    world.fault = ValueError("inner detail")
    answer = await client.get("/readyz")
    assert answer.status_code == 500
    assert answer.json() == {"error": "/readyz failed by a fault of this server; its log has the cause"}
    assert [record.getMessage() for record in caplog.records] == ["web.bug"]


# --- listening ---------------------------------------------------------------------------------------------


async def test_an_address_in_use_is_told() -> None:
    async with listening(web.Application(), "127.0.0.1:0") as port:
        with pytest.raises(InvalidSettings) as caught:
            async with listening(web.Application(), f"127.0.0.1:{port}"):
                pass
    assert str(caught.value) == (
        f"settings: http_address 127.0.0.1:{port}: cannot listen there: Address already in use; choose another"
    )


@pytest.mark.parametrize("address", ["[::]:0", "0.0.0.0:0", "localhost:0"])
async def test_the_default_address_takes_ipv4(address: str, world: World) -> None:
    board = Board(entries=list, ready=world.ready, clock=lambda: NOW)
    app = make_app(board=board, metrics_page=world.metrics_page, decisions=DecisionPages(world, clock=lambda: NOW))
    async with listening(app, address) as port, httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_the_default_address_takes_ipv6(world: World) -> None:
    board = Board(entries=list, ready=world.ready, clock=lambda: NOW)
    app = make_app(board=board, metrics_page=world.metrics_page, decisions=DecisionPages(world, clock=lambda: NOW))
    for address in ("[::]:0", "[::1]:0"):
        async with listening(app, address) as port, httpx.AsyncClient() as http:
            assert (await http.get(f"http://[::1]:{port}/healthz")).status_code == 200
