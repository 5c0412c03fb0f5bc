"""What follows from a trigger's metadata: its key, its series, its metric's name, its source."""

from __future__ import annotations

import re

import pytest

from scaler.errors import InvalidTrigger
from scaler.sources.base import SourceSpec
from scaler.trigger import TriggerConfig, TriggerKey, parse_trigger

LEAST = {"serverAddress": "http://prometheus:9090", "query": "sum(rate(hits[2m]))", "threshold": "100"}


def read(metadata: dict[str, str]) -> TriggerConfig:
    return parse_trigger(namespace="shop", name="checkout", metadata=metadata)


def test_the_key_is_the_same_in_any_order_and_known_without_reading() -> None:
    config = read(LEAST)
    backwards = dict(reversed(LEAST.items()))
    assert config.key == TriggerKey.of(namespace="shop", name="checkout", metadata=backwards)
    assert re.fullmatch(r"shop/checkout/[0-9a-f]{16}", config.key.id)


def test_any_difference_in_the_metadata_is_another_key() -> None:
    keys = {
        TriggerKey.of(namespace="shop", name="checkout", metadata=metadata).digest
        for metadata in ({"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"a": "b"}, {})
    }
    assert len(keys) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": "5"},
        {"leadTime": "5m"},
        {"quantile": "0.95"},
        {"mode": "observe"},
        {"forecaster": "ets"},
        {"historyTimeWindow": "7d"},
        {"timeout": "5s"},
        {"serverAddress": "HTTP://Prometheus:9090/"},
        {"query": "\nsum(rate(hits[2m]))\n"},
    ],
)
def test_what_does_not_change_the_samples_shares_the_series(change: dict[str, str]) -> None:
    assert read({**LEAST, **change}).series_id == read(LEAST).series_id
    assert read({**LEAST, **change}).metric_name == read(LEAST).metric_name


@pytest.mark.parametrize(
    "change",
    [
        {"query": "sum(rate(hits[3m]))"},
        {"serverAddress": "http://prometheus:9091"},
        {"queryStep": "30s"},
        {"namespace": "a"},
        {"customHeaders": "X-Scope-OrgID=a"},
        {"queryParameters": "X-Scope-OrgID=a"},
        {"ignoreNullValues": "true"},
        {"unsafeSsl": "true"},
        {"authModes": "bearer", "bearerTokenFromEnv": "a"},
        {"authModes": "basic", "usernameFromEnv": "a"},
        {"authModes": "basic", "usernameFromEnv": "a", "passwordFromEnv": "b"},
        {"authModes": "custom", "customAuthHeaderFromEnv": "a", "customAuthValueFromEnv": "b"},
        {"caFromEnv": "-----BEGIN CERTIFICATE-----"},
    ],
)
def test_what_may_change_the_samples_is_another_series(change: dict[str, str]) -> None:
    assert read({**LEAST, **change}).series_id != read(LEAST).series_id


def test_header_and_query_parameter_are_not_confused() -> None:
    header, parameter = ({**LEAST, name: "A=b"} for name in ("customHeaders", "queryParameters"))
    assert read(header).series_id != read(parameter).series_id


def test_a_named_source_counts_by_its_name() -> None:
    least = {"source": "main", "query": "up", "threshold": "1"}
    assert read(least).series_id == read({**least, "unsafeSsl": "true"}).series_id
    assert read(least).series_id != read({**least, "source": "other"}).series_id


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('sum(rate(http_requests_total{app="Shop"}[2m]))', "sum-rate-http-requests-total-app-sho-"),
        ("up", "up-"),
        ("{}", ""),
        ("ü" * 300, ""),
        ("a" * 300, "a" * 36 + "-"),
    ],
)
def test_the_metric_name_is_readable_and_safe(query: str, words: str) -> None:
    name = read({**LEAST, "query": query}).metric_name
    assert re.fullmatch(rf"foresail-{words}[0-9a-f]{{8}}", name)
    assert len(name) <= 54


def test_the_quantile_is_given_or_follows_from_the_costs() -> None:
    assert read(LEAST).effective_quantile == 0.9  # to begin with
    assert read({**LEAST, "quantile": "0.95"}).effective_quantile == 0.95
    assert read({**LEAST, "costRatio": "19"}).effective_quantile == 0.95
    assert read({**LEAST, "costRatio": "1"}).effective_quantile == 0.5


@pytest.mark.parametrize(
    ("given", "spends"),
    [
        ({}, True),
        ({"quantile": "auto", "premium": "1"}, True),
        ({"quantile": "0.9"}, False),
        ({"costRatio": "9"}, False),
        ({"sloShortfall": "0.1%"}, False),
    ],
)
def test_a_premium_is_spent_where_nothing_else_says_the_quantile(given: dict[str, str], *, spends: bool) -> None:
    assert read({**LEAST, **given}).spends_premium is spends


def test_resolve_knows_addresses_and_names() -> None:
    sources = {"main": SourceSpec(kind="exposition", address="http://app/metrics", name="main")}
    assert read(LEAST).resolve(sources) == read(LEAST).source_spec()
    named = {"source": "main", "query": "up", "threshold": "1", "ignoreNullValues": "true"}
    assert read(named).resolve(sources) == SourceSpec(
        kind="exposition", address="http://app/metrics", name="main", ignore_null_values=True
    )


@pytest.mark.parametrize(
    ("name", "hint"), [("mian", "did you mean main?"), ("zzz", "the server's settings name no such source")]
)
def test_resolve_refuses_an_unknown_name(name: str, hint: str) -> None:
    config = read({"source": name, "query": "up", "threshold": "1"})
    with pytest.raises(InvalidTrigger) as caught:
        config.resolve({"main": SourceSpec(kind="prometheus", address="http://p")})
    assert str(caught.value) == f'trigger metadata: source is "{name}": it is not a named source; {hint}'


def test_no_secret_in_repr() -> None:
    config = read(
        {
            **LEAST,
            "authModes": "tls,basic",
            "usernameFromEnv": "s3cret",
            "passwordFromEnv": "s3cret",
            "certFromEnv": "-----BEGIN CERTIFICATE----- s3cret",
            "keyFromEnv": "-----BEGIN EC PRIVATE KEY----- s3cret",
            "caFromEnv": "-----BEGIN CERTIFICATE----- s3cret",
            "customHeaders": "Authorization=s3cret",
            "queryParameters": "api_key=s3cret",
        }
    )
    assert config.password == "s3cret"
    assert "s3cret" not in repr(config)
    assert "s3cret" not in str(config)


def test_a_config_is_frozen_and_hashable() -> None:
    config = read(LEAST)
    assert hash(config) == hash(read(LEAST))
    with pytest.raises(AttributeError):
        config.threshold = 1.0  # type: ignore[misc]
