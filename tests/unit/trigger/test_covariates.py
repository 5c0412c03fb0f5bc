from __future__ import annotations

import pytest

from scaler.engine.admission import bound
from scaler.engine.beside import beside_ids
from scaler.errors import InvalidTrigger, TenantRefused
from scaler.settings import Settings
from scaler.tenancy.tenants import Tenant
from scaler.trigger import TriggerConfig, parse_trigger

LEAST = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "100"}


def read(covariates: str, **metadata: str) -> TriggerConfig:
    return parse_trigger(namespace="shop", name="web", metadata={**LEAST, **metadata, "covariates": covariates})


def test_one_query_a_line() -> None:
    assert read("sum(a)").covariates == ("sum(a)",)
    assert read("\n  sum(a)\n\n\tsum by () (b)  \n").covariates == ("sum(a)", "sum by () (b)")
    assert read("").covariates == ()


@pytest.mark.parametrize(
    ("covariates", "text"),
    [
        ("a\nb\nc\nd\ne", "it has 5 queries; at most 4 are accepted"),
        ("a\nb\n a", "it has the same query twice"),
        ("x" * 4097, "it has 4097 characters; at most 4096 are accepted"),
    ],
)
def test_what_is_wrong_is_told(covariates: str, text: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        read(covariates)
    (problem,) = caught.value.problems
    assert problem.startswith("covariates is ")
    assert problem.endswith(text)


def test_the_load_s_own_history_does_not_depend_on_them_and_theirs_is_that_of_triggers_of_their_own() -> None:
    plain, led, other = read(""), read("b\nc"), read("", query="b")
    assert led.series_id == plain.series_id
    assert beside_ids(led) == (other.series_id, read("", query="c").series_id)
    assert beside_ids(plain) == ()


def test_they_are_bound_to_the_namespace_like_the_query() -> None:
    tenant = Tenant(name="team", namespaces=("shop",), own_addresses=True, labels=(("namespace", "{namespace}"),))
    config = bound(read("sum(b)"), Settings(tenants=(tenant,)))
    assert config.matchers == (("namespace", "shop"),)
    with pytest.raises(InvalidTrigger) as caught:
        bound(read("sum(b)\nsum(c) or {"), Settings(tenants=(tenant,)))
    assert caught.value.problems[0].startswith("covariates, line 2: query is ")
    with pytest.raises(TenantRefused) as refused:
        bound(read('sum(b{namespace="other"})'), Settings(tenants=(tenant,)))
    assert str(refused.value) == (
        'covariates, line 1: query asks for namespace="other", but this namespace may read namespace="shop" only: '
        "leave that matcher out, the server puts its own into every selector"
    )
