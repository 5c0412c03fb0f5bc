"""`foresail explain` against the real HTTP side, and against what else may answer at its address."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import pytest
from aiohttp import web

from scaler.cli.explanation import parts
from scaler.cli.main import main
from scaler.decision.change import Change
from scaler.web.app import make_app
from scaler.web.board import EventPart, Explanation, ForecastPart, GatePart, ObservedPart, ReadyState, TriggerView
from scaler.web.listen import listening
from scaler.web.log import DecisionPages
from tests.support.keda_edge import running_edge
from tests.support.scripted_desk import ScriptedDesk, decided

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    Explain: TypeAlias = Callable[..., Awaitable["Said"]]

PORT_FORWARD = "kubectl port-forward svc/foresail 8080 -n NAMESPACE"

NOW = 1_700_000_000.0
SERVED = Change(NOW - 3600.0, 120.0, active=True, source="observed", hindrance="young", observed=100.0, headroom=1.2)
FAILED = Change.failed("the load is not known: the source does not answer", at=NOW - 1800.0)

FULL = Explanation(
    namespace="shop",
    name="checkout",
    trigger="ab12",
    metric="foresail-sum-load-1234",
    source="http://prometheus:9090",
    query="sum(load)",
    mode="active",
    threshold=100.0,
    activation_threshold=0.0,
    lead_time=180.0,
    window=225.0,
    served=1520.0,
    would_serve=1520.0,
    active=True,
    reason="serving 1520: the 0.9-quantile of the peak within 3m45s (ets) is 1520; the floor is 1.2 x observed 1000",
    observed=ObservedPart(value=1000.0, age=5.0, headroom=1.2, floor=1200.0),
    forecast=ForecastPart(
        quantile=0.9,
        peak=1520.0,
        peak_in=140.0,
        cap=4000.0,
        highest=2000.0,
        age=40.0,
        model="ets",
        model_age=3600.0,
        bands={"0.5": 1000.0, "0.9": 1520.0},
        used=True,
    ),
    gate=GatePart(trusted=True, verdict=""),
    event=EventPart(name="launch", factor=1.5, floor=0.0, until="2026-12-01 18:00 UTC", asks=1500.0, used=False),
    note="auto: ets",
    warning="avg(...) is about one replica",
    source_error="it broke off",
)
YOUNG = msgspec.structs.replace(
    FULL,
    trigger="cd34",
    served=None,
    would_serve=None,
    active=None,
    reason="the load is not known yet: the first answer of the source is awaited",
    observed=None,
    forecast=None,
    gate=None,
    event=None,
    note="",
    warning="",
    source_error="",
)


class OneObject:
    """A board that knows shop/checkout."""

    def __init__(self, *explanations: Explanation) -> None:
        self._explanations = list(explanations)

    def triggers(self) -> list[TriggerView]:
        return []

    def explain(self, namespace: str, name: str) -> list[Explanation]:
        return self._explanations if (namespace, name) == ("shop", "checkout") else []

    def ready(self) -> ReadyState:
        return ReadyState(ready=True)


class OneLog:
    """The log of shop/checkout, of as many triggers as it has."""

    async def read(self, namespace: str, name: str, *, since: float) -> list[tuple[str, Change]]:
        changes = {
            ("shop", "checkout"): [("ab12", SERVED), ("ab12", FAILED)],
            ("shop", "two"): [("ab12", SERVED), ("cd34", FAILED)],
        }
        return [(trigger, change) for trigger, change in changes[namespace, name] if change.at >= since]


async def no_metrics() -> bytes:
    return b""


@pytest.fixture
async def foresail() -> AsyncIterator[str]:
    log = DecisionPages(OneLog(), clock=lambda: NOW)
    app = make_app(board=OneObject(FULL, YOUNG), metrics_page=no_metrics, decisions=log)
    async with listening(app, "127.0.0.1:0") as port:
        yield f"http://127.0.0.1:{port}"


@dataclass
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explain:
    monkeypatch.setenv("COLUMNS", "110")

    async def ask(*arguments: str) -> Said:
        code = await asyncio.to_thread(main, ["explain", *arguments])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return ask


async def test_the_sentence_first_then_every_part(foresail: str, explain: Explain) -> None:
    said = await explain("shop/checkout", "--server", foresail)
    assert (said.code, said.err) == (0, "")
    assert [line.rstrip() for line in said.out.splitlines()] == [
        "shop/checkout  foresail-sum-load-1234  (trigger ab12)",
        "serving 1520: the 0.9-quantile of the peak within 3m45s (ets) is 1520; the floor is 1.2 x observed 1000",
        "",
        "  served        1520 to KEDA, active",
        "                at 100 for each pod that is 16 pods, before the HPA's tolerance and limits",
        "  observed      1000, 5s ago",
        "  floor         1200 = 1.2 x observed",
        "  forecast      1520, the 0.9-quantile of the peak, reached in 2m20s at the latest",
        "                by ets, fitted 1h ago",
        "                it knows the samples up to 40s ago",
        "  cap           4000; the highest load of the history is 2000",
        "  quantiles     0.5: 1000   0.9: 1520   of the peak within the lead time, when it was made",
        "  gate          the forecast is trusted",
        "  event         launch: x1.5, until 2026-12-01 18:00 UTC",
        "                it asks for 1500, which is not more than the rest",
        "  note          auto: ets",
        "  warning       avg(...) is about one replica",
        "  source error  it broke off",
        "  lead time     3m until a pod asked for now serves",
        "                3m45s are looked ahead: with 45s until KEDA and the HPA ask, and for a load that comes early",
        "  source        http://prometheus:9090",
        "  query         sum(load)",
        "",
        "shop/checkout  foresail-sum-load-1234  (trigger cd34)",
        "the load is not known yet: the first answer of the source is awaited",
        "",
        "  not served  KEDA gets an error, keeps the replicas, and uses the ScaledObject's fallback if it has one",
        "  observed    nothing yet",
        "  forecast    none",
        "  lead time   3m until a pod asked for now serves",
        "              3m45s are looked ahead: with 45s until KEDA and the HPA ask, and for a load that comes early",
        "  source      http://prometheus:9090",
        "  query       sum(load)",
    ]


def of(one: Explanation, label: str) -> list[str]:
    return [text for name, text in parts(one) if name == label]


def test_a_forecast_that_is_not_served() -> None:
    assert FULL.forecast is not None
    unused = msgspec.structs.replace(FULL.forecast, used=False, peak_in=None, explanation="chosen from three")
    verdict = GatePart(trusted=False, verdict="worse than persistence for two days")
    one = msgspec.structs.replace(FULL, forecast=unused, gate=verdict)
    assert of(one, "forecast") == [
        "1520, the 0.9-quantile of the peak",
        "it took no part in the answer",
        "by ets, fitted 1h ago",
        "chosen from three",
        "it knows the samples up to 40s ago",
    ]
    assert of(one, "gate") == ["worse than persistence for two days"]
    assert of(msgspec.structs.replace(one, gate=GatePart(trusted=False, verdict="")), "gate") == [
        "the forecast is not trusted"
    ]


def test_where_the_lead_time_comes_from() -> None:
    one = msgspec.structs.replace(FULL, lead_time_origin="as leadTime says")
    assert of(one, "lead time")[1] == "as leadTime says"


def test_an_event_that_sets_the_answer() -> None:
    event = EventPart(name="launch", factor=2.0, floor=800.0, until="18:00 UTC", asks=2000.0, used=True)
    assert of(msgspec.structs.replace(FULL, event=event), "event") == [
        "launch: x2, at least 800, until 18:00 UTC",
        "it asks for 2000",
    ]


def test_a_forecast_without_a_load() -> None:
    assert FULL.forecast is not None
    unknown = msgspec.structs.replace(FULL.forecast, used=False, peak=None, peak_in=None, cap=None, bands={})
    one = msgspec.structs.replace(FULL, served=None, forecast=unknown)
    assert of(one, "forecast")[0] == "not looked at while the load is unknown; it is for the 0.9-quantile of the peak"
    assert of(one, "cap") == of(one, "quantiles") == []


def test_observe_mode_and_sleep() -> None:
    one = msgspec.structs.replace(FULL, mode="observe", served=0.0, active=False, activation_threshold=5.0)
    assert of(one, "served")[0] == "0 to KEDA, not active: not above 5"
    assert of(one, "mode") == ["observe; active mode would serve 1520"]


async def test_json_is_the_servers_own_answer(foresail: str, explain: Explain) -> None:
    said = await explain("shop/checkout", "--server", foresail + "/", "--json")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == {"triggers": [msgspec.to_builtins(FULL), msgspec.to_builtins(YOUNG)]}


async def test_the_server_may_come_from_the_environment(
    foresail: str, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESAIL_SERVER", foresail)
    said = await explain("shop/checkout", "--json")
    assert said.code == 0


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
async def test_since_shows_how_the_answers_changed(foresail: str, explain: Explain) -> None:
    said = await explain("shop/checkout", "--server", foresail, "--since", "2h")
    assert (said.code, said.err) == (0, "")
    assert [line.rstrip() for line in said.out.splitlines()] == [
        "2023-11-14 22:13:20+0100  serving 120: 1.2 x observed 100, because young",
        "2023-11-14 22:43:20+0100  not served: the load is not known: the source does not answer",
    ]
    said = await explain("shop/two", "--server", foresail, "--since", "2h")
    assert [line.split("  ")[1] for line in said.out.splitlines()] == ["trigger ab12", "trigger cd34"]
    said = await explain("shop/checkout", "--server", foresail, "--since", "45m", "--json")
    assert [one["at"] for one in json.loads(said.out)["decisions"]] == [NOW - 1800.0]


async def test_a_log_without_a_change_says_what_that_may_mean(foresail: str, explain: Explain) -> None:
    said = await explain("shop/checkout", "--server", foresail, "--since", "10m")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "The decision log has no change of shop/checkout within the last 10m: its answers stayed as they were, KEDA "
        "did not call for it, or the setting decision_log is 0.\n"
    )


async def test_an_unknown_scaled_object_gets_the_servers_own_text(foresail: str, explain: Explain) -> None:
    said = await explain("shop/basket", "--server", foresail)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"foresail explain: {foresail} says: no trigger of ScaledObject shop/basket is in use here: KEDA has not "
        "called for it since this server started, or not for long; /api/v1/triggers lists those in use, and with "
        "several replicas another one may have been called\n"
    )


async def test_nobody_there(explain: Explain) -> None:
    with socket.socket() as taken:  # bound but not listening: a connection is refused
        taken.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = await explain("shop/web", "--server", server)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"foresail explain: no server answers at {server} (connection refused); if it runs in a cluster, run "
        f"'{PORT_FORWARD}' in another terminal, or give its address with --server\n"
    )


@pytest.mark.parametrize("server", ["localhost:8080", "ftp://x", "http://", "nonsense"])
async def test_an_address_that_is_none(server: str, explain: Explain) -> None:
    said = await explain("shop/web", "--server", server)
    assert said.code == 1
    assert said.err.endswith("is no address; write http://HOST:PORT, such as http://127.0.0.1:8080\n")


@pytest.mark.parametrize(("status", "body"), [(200, "<html>hello</html>"), (404, "<html>not here</html>"), (502, "")])
async def test_somebody_else_there(status: int, body: str, explain: Explain) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{rest:.*}", page)
    async with listening(app, "127.0.0.1:0") as port:
        said = await explain("shop/web", "--server", f"http://user:hunter2@127.0.0.1:{port}")
    assert said.code == 1
    assert said.err == (
        f"foresail explain: what answers at http://127.0.0.1:{port} is not Foresail: --server takes the address of its "
        "HTTP side, port 8080 by default (6000 is for KEDA alone)\n"
    )


async def test_the_side_that_is_for_keda(explain: Explain) -> None:
    async with running_edge(ScriptedDesk(decided(1.0))) as edge:
        said = await explain("shop/web", "--server", f"http://{edge.address}")
    assert said.code == 1
    assert said.err.startswith(
        f"foresail explain: what answers at http://{edge.address} is not Foresail: --server takes"
    )


async def test_a_server_of_another_version(explain: Explain) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"triggers": [{"namespace": "shop"}]})

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    async with listening(app, "127.0.0.1:0") as port:
        said = await explain("shop/web", "--server", f"http://127.0.0.1:{port}")
    assert said.code == 1
    assert said.err == (
        f"foresail explain: http://127.0.0.1:{port} answers in a form that this version does not know (Object missing "
        "required field `name` - at `$.triggers[0]`): use the 'foresail' of the server's version\n"
    )


@pytest.mark.parametrize("text", ["checkout", "shop/", "Shop/web", "a/b/c", "../x", "shop/web?x"])
def test_what_is_no_namespace_and_name(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", text])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f'foresail explain: argument NAMESPACE/NAME: "{text}" is not NAMESPACE/NAME of a ScaledObject, such as '
        "shop/checkout; foresail explain --help tells what there is\n"
    )
