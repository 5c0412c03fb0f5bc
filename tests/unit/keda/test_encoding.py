from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision import HIGHEST_SERVABLE, Decision, Source
from scaler.errors import ValueUnservable
from scaler.keda.encoding import activity, metric_spec, metrics
from scaler.trigger import TriggerConfig, parse_trigger

THRESHOLDS = st.floats(min_value=0.001, max_value=1e12)
LOADS = st.floats(min_value=0.0, max_value=HIGHEST_SERVABLE)


def trigger(threshold: float = 5.0) -> TriggerConfig:
    metadata = {"serverAddress": "http://prometheus:9090", "query": "sum(orders)", "threshold": repr(threshold)}
    return parse_trigger(namespace="shop", name="web", metadata=metadata)


def decided(value: float, *, active: bool = True) -> Decision:
    return Decision(
        value=value,
        active=active,
        source=Source.FORECAST,
        observed=1.0,
        observed_age=0.0,
        floor=1.2,
        would_serve=value,
    )


@pytest.mark.parametrize(
    ("threshold", "whole"),
    [(5.0, 5), (1.0, 1), (0.5, 5), (2.75, 275), (0.125, 125), (1 / 3, 333), (0.001, 1), (2 / 3, 667), (1e12, 10**12)],
)
def test_a_spec_has_the_exact_target_and_a_whole_one_for_old_clients(threshold: float, whole: int) -> None:
    (spec,) = metric_spec(trigger(threshold)).metricSpecs
    assert (spec.metricName, spec.targetSizeFloat, spec.targetSize) == (trigger().metric_name, threshold, whole)


@given(threshold=THRESHOLDS)
def test_there_is_exactly_one_spec_with_targets_that_the_hpa_takes(threshold: float) -> None:
    (spec,) = metric_spec(trigger(threshold)).metricSpecs
    assert spec.targetSizeFloat == threshold
    assert spec.targetSize >= 1


@pytest.mark.parametrize(
    ("threshold", "value", "whole"),
    [
        (5.0, 0.0, 0),
        (5.0, 12.0, 12),
        (5.0, 12.000001, 13),
        (5.0, 1e-9, 1),
        (0.5, 2.3, 23),
        (0.5, 1.1, 11),  # 1.1 x 10 is 11.000000000000002
        (0.25, 1.0, 100),
        (0.125, 9e15, 9 * 10**15),  # in thousandths it would overflow
    ],
)
def test_the_whole_value_is_in_the_targets_unit_and_rounded_up(threshold: float, value: float, whole: int) -> None:
    (metric,) = metrics(trigger(threshold), decided(value)).metricValues
    assert (metric.metricName, metric.metricValueFloat, metric.metricValue) == (trigger().metric_name, value, whole)


@given(threshold=THRESHOLDS, value=LOADS)
def test_a_servable_load_is_one_value_and_zero_only_if_it_is_zero(threshold: float, value: float) -> None:
    (metric,) = metrics(trigger(threshold), decided(value)).metricValues
    assert metric.metricValueFloat == value
    assert math.copysign(1.0, metric.metricValueFloat) == 1.0
    assert 0 <= metric.metricValue <= HIGHEST_SERVABLE
    if value >= 1e-6:
        assert metric.metricValue > 0


@given(threshold=st.integers(min_value=1, max_value=8000).map(lambda eighths: eighths / 8), value=st.floats(0.0, 1e6))
def test_old_clients_never_ask_for_fewer_pods_and_for_one_more_at_most(threshold: float, value: float) -> None:
    (spec,) = metric_spec(trigger(threshold)).metricSpecs
    (metric,) = metrics(trigger(threshold), decided(value)).metricValues
    pods = math.ceil(int(value * 1000) / int(threshold * 1000))
    assert pods <= math.ceil(metric.metricValue / spec.targetSize) <= pods + 1


@given(value=st.floats(), active=st.booleans())
def test_a_bad_number_is_an_error_for_both_calls_and_never_a_false(value: float, *, active: bool) -> None:
    decision = decided(value, active=active)
    if 0.0 <= value <= HIGHEST_SERVABLE:
        assert activity(decision).result is active
        return
    told = f"the value to serve is {value}: the HPA takes finite numbers from 0 to 9e+15"
    with pytest.raises(ValueUnservable, match=f"^{re.escape(told)}$"):
        activity(decision)
    with pytest.raises(ValueUnservable, match=f"^{re.escape(told)}$"):
        metrics(trigger(), decision)


def test_minus_zero_is_sent_as_zero() -> None:
    (metric,) = metrics(trigger(), decided(-0.0)).metricValues
    assert math.copysign(1.0, metric.metricValueFloat) == 1.0
