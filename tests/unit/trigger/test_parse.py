"""Reading trigger metadata: the least that works, every refusal word for word, no secret in any text."""

from __future__ import annotations

import pytest

from scaler.errors import InvalidTrigger
from scaler.sources.base import SourceSpec
from scaler.trigger import TriggerConfig, TriggerKey, parse_trigger

LEAST = {
    "scalerAddress": "foresail.foresail:6000",
    "serverAddress": "http://prometheus.monitoring.svc:9090",
    "query": "sum(rate(http_requests_total[2m]))",
    "threshold": "100",
}


def read(**metadata: str) -> TriggerConfig:
    given = {name.replace("__", "."): value for name, value in metadata.items()}
    return parse_trigger(namespace="shop", name="checkout", metadata={**LEAST, **given})


def problems(metadata: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(InvalidTrigger) as caught:
        parse_trigger(namespace="shop", name="checkout", metadata=metadata)
    return caught.value.problems


def problem(**metadata: str) -> str:
    given = {name.replace("__", "."): value for name, value in metadata.items()}
    (only,) = problems({**LEAST, **given})
    return only


def test_the_least_that_works_has_the_documented_defaults() -> None:
    config = read()
    assert config == TriggerConfig(
        name="checkout",
        namespace_of_object="shop",
        key=TriggerKey.of(namespace="shop", name="checkout", metadata=LEAST),
        server_address="http://prometheus.monitoring.svc:9090",
        source="",
        query="sum(rate(http_requests_total[2m]))",
        threshold=100.0,
        activation_threshold=0.0,
        ignore_null_values=False,
        tenant_namespace="",
        custom_headers=(),
        query_parameters=(),
        unsafe_ssl=False,
        timeout=10.0,
        auth_modes=(),
        history_window=1209600.0,
        step=60,
        forecaster="auto",
        forecaster_parameters=(),
        time_zone="UTC",
        lead_time=180.0,
        quantile=0.9,
        cost_ratio=None,
        headroom=1.2,
        mode="active",
        max_factor=2.0,
        max_rise=None,
    )
    assert config.source_spec() == SourceSpec(
        kind="prometheus", address="http://prometheus.monitoring.svc:9090", timeout=10.0
    )
