"""The engine and its tenants: what is asked on whose behalf, and that a noisy one degrades only itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from scaler.engine.messages import Refused
from scaler.sources.base import SourceSpec
from scaler.tenancy.tenants import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = SourceSpec(kind="prometheus", address="http://prometheus:9090", name="main")
LABELS = (("namespace", "{namespace}"), ("cluster", "eu"))
TENANTS = (
    Tenant(
        name="shops", namespaces=("shop*",), sources=("main",), labels=(("namespace", "{namespace}"), ("cluster", "eu"))
    ),
    Tenant(name="ops", namespaces=("ops",), own_addresses=True),
)
WORLD: dict[str, Any] = {"sources": MappingProxyType({"main": MAIN}), "tenants": TENANTS}


def refusals(bench: Any) -> list[tuple[str, str]]:
    return [(m.refusal.error, m.refusal.text) for m in bench.published if isinstance(m, Refused)]


async def test_whatever_is_asked_has_the_matchers_of_its_namespace(make_workbench: Callable[..., Any]) -> None:
    bench = make_workbench(**WORLD)
    for namespace in ("shop", "shop-eu"):
        bench.register(namespace=namespace, source="main", serverAddress="", query="sum(load)", leadTime="auto")
    await bench.engine.settle()
    assert refusals(bench) == []
    assert bench.engine.series_count == 2  # the same words, but not the same load
    assert {query for query in bench.source.queries if "sum(load" in query} == {
        'sum(load{namespace="shop",cluster="eu"})',
        'sum(load{namespace="shop-eu",cluster="eu"})',
    }
    of_pods = [query for query in bench.source.queries if "kube_pod" in query]
    assert of_pods
    assert all(query.count('cluster="eu"') == query.count("kube_pod") for query in of_pods)


async def test_what_a_tenant_has_no_right_to_is_refused(make_workbench: Callable[..., Any]) -> None:
    bench = make_workbench(**WORLD)
    bench.register(namespace="shop")
    bench.register(namespace="ops")
    bench.register(namespace="other")
    bench.register(namespace="shop", source="main", serverAddress="", query='load{namespace="ops"}')
    bench.register(namespace="shop", source="main", serverAddress="", query="load @ 5")
    assert [error for error, _ in refusals(bench)] == ["TenantRefused"] * 3 + ["InvalidTrigger"]
    assert bench.engine.trigger_count == 1
    await bench.engine.settle()
    assert set(bench.source.queries) == {"q"}


async def test_a_noisy_namespace_is_refused_and_its_neighbour_is_not(make_workbench: Callable[..., Any]) -> None:
    bench = make_workbench(namespace_triggers=3, namespace_series=2, namespace_bytes=600_000)
    for n in range(5):
        bench.register(f"web-{n}", namespace="noisy", query=f"q{n % 2}")
    bench.register("more", namespace="greedy", query="a", historyTimeWindow="400d", queryStep="5m")
    for n in range(4):
        bench.register(f"web-{n}", namespace="broad", query=f"b{n}")
    bench.register(namespace="quiet")
    assert [text.partition(",")[0] for _, text in refusals(bench)] == [
        "namespace noisy has 3 triggers in use",
        "namespace noisy has 3 triggers in use",
        "namespace broad has 2 distinct series",
        "namespace broad has 2 distinct series",
    ]
    assert {error for error, _ in refusals(bench)} == {"LimitReached"}
    bench.register("two", namespace="greedy", query="b", historyTimeWindow="400d", queryStep="5m")
    assert "namespace greedy has" in refusals(bench)[-1][1]
    assert "its quota namespace_bytes is 600000" in refusals(bench)[-1][1]


async def test_a_trigger_that_cannot_be_opened_is_not_counted(make_workbench: Callable[..., Any]) -> None:
    bench = make_workbench(namespace_triggers=1)
    bench.register(source="nowhere", serverAddress="")
    assert refusals(bench)[0][0] == "InvalidTrigger"
    bench.register()
    assert (len(refusals(bench)), bench.engine.trigger_count) == (1, 1)


async def test_idle_triggers_make_room(make_workbench: Callable[..., Any], start: int) -> None:
    bench = make_workbench(namespace_triggers=1, idle_after=300.0)
    bench.register("one")
    await bench.engine.settle()
    bench.engine.housekeep()
    await bench.at(start + 400)
    assert bench.engine.trigger_count == 0
    bench.register("two")
    assert refusals(bench) == []


async def test_fits_beyond_the_quota_wait_and_others_go_on(make_workbench: Callable[..., Any], start: int) -> None:
    bench = make_workbench(namespace_fits=1)
    one, two = bench.register("one", query="a"), bench.register("two", query="b")
    other = bench.register("other", namespace="other", query="c")
    await bench.engine.settle()
    await bench.at(start + 20)  # the next look at the load tells why there is no forecast
    fitted = [trigger for trigger in (one, two) if bench.snapshot(trigger).outlook is not None]
    (waits,) = {one, two} - set(fitted)
    assert len(fitted) == 1
    assert bench.snapshot(other).outlook is not None
    assert bench.snapshot(waits).note == (
        "its namespace has had as many fits within an hour as its quota namespace_fits allows"
    )
    bench.engine.called([one, two, other])
    bench.clock.now = start + 3700
    bench.engine.called([one, two, other])
    await bench.at(start + 3900)
    assert bench.snapshot(waits).outlook is not None
