"""What a query's text gives away about the signal."""

from __future__ import annotations

import pytest

from scaler.trigger.signal import RateWindow, rate_windows, replica_dependent, signal_warning

TOTALS = [
    'sum(rate(http_requests_total{app="checkout"}[2m]))',
    'sum(rate(http_requests_total{pod=~"checkout-.*"}[2m]))',
    "sum by (job) (rate(http_requests_total[2m]))",
    "sum(avg_over_time(queue_depth[5m]))",
    'max(rabbitmq_queue_messages_ready{queue="orders"})',
    "sum(rate(container_cpu_usage_seconds_total[2m]))",
    "sum(rate(http_requests_total[2m])) / 2",
    'sum(rate(errors_total{reason="avg(x) / count(y)"}[2m]))  # avg(cpu_utilization)',
    "sum(rate(requests_count[2m])) * 60 + count(jobs)",
    "load",
    "",
]


@pytest.mark.parametrize("query", TOTALS)
def test_totals_raise_no_warning(query: str) -> None:
    assert replica_dependent(query) == ()


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        (
            "avg(rate(http_requests_total[2m]))",
            ("avg(...) is about one replica among many, not about the total",),
        ),
        ("avg by (job) (load)", ("avg(...) is about one replica among many, not about the total",)),
        ("AVG without (pod) (load)", ("avg(...) is about one replica among many, not about the total",)),
        ("quantile(0.9, load)", ("quantile(...) is about one replica among many, not about the total",)),
        (
            "histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5m])))",
            ("histogram_quantile(...) gives a time or a size of single requests, which falls with more replicas",),
        ),
        (
            "sum(rate(http_requests_total[2m])) / count(up)",
            ("it divides by count: a value for each replica, not the total",),
        ),
        (
            'sum(rate(cpu_seconds_total[2m])) / on() sum(kube_pod_container_resource_requests{resource="cpu"}) * 100',
            ("it divides by kube_pod_container_resource_requests: a value for each replica, not the total",),
        ),
        (
            "sum(load) / scalar(kube_deployment_status_replicas)",
            (
                "it divides by kube_deployment_status_replicas: a value for each replica, not the total",
                "kube_deployment_status_replicas counts the replicas themselves",
            ),
        ),
        (
            "max(cpu_utilisation)",
            ("cpu_utilisation is a share of what there is, which falls with more replicas",),
        ),
        (
            "sum(container_memory_working_set_bytes)",
            ("container_memory_working_set_bytes grows with every replica, whatever the load",),
        ),
        ('rate(http_requests_total{pod="web-5d4f"}[2m])', ('pod="web-5d4f" is one replica of many',)),
    ],
)
def test_what_depends_on_the_replicas_is_named(query: str, reasons: tuple[str, ...]) -> None:
    assert replica_dependent(query) == reasons


def test_the_reasons_in_one_sentence() -> None:
    assert signal_warning("sum(load)") == ""
    assert signal_warning("avg(cpu_utilization)") == (
        "the query seems to depend on the number of replicas, which makes a feedback loop: "
        "avg(...) is about one replica among many, not about the total; "
        "cpu_utilization is a share of what there is, which falls with more replicas. "
        "Give the total load, such as sum(rate(http_requests_total[2m]))"
    )


def test_a_reason_is_given_once() -> None:
    assert len(replica_dependent("avg(a) + avg(b)")) == 1


def test_only_the_divisor_is_a_divisor() -> None:
    assert replica_dependent("sum(a) / 2 + count(b)") == ()
    assert replica_dependent("(sum(a) / 2) + count(b)") == ()


@pytest.mark.parametrize(
    ("query", "windows"),
    [
        ("sum(rate(http_requests_total[2m]))", (RateWindow("rate", "http_requests_total", 120.0),)),
        (
            'sum(increase(requests_total{app="a}b[1m]"} [90s])) / 90',
            (RateWindow("increase", 'requests_total{app="a}b[1m]"}', 90.0),),
        ),
        ('irate({__name__="requests_total"}[1m30s])', (RateWindow("irate", '{__name__="requests_total"}', 90.0),)),
        (
            "rate(a_total[1m]) + rate(b_total[5m])",
            (RateWindow("rate", "a_total", 60.0), RateWindow("rate", "b_total", 300.0)),
        ),
        ("max_over_time(rate(a_total[1m])[10m:1m])", (RateWindow("rate", "a_total", 60.0),)),
        ("avg_over_time(queue_depth[5m])", ()),
        ("rate(sum(a_total)[5m:])", ()),
        ("rate(a_total[$__rate_interval])", ()),
        ("[5m]", ()),
        ("}[5m]", ()),
        ("rate(", ()),
    ],
)
def test_rates_over_raw_samples(query: str, windows: tuple[RateWindow, ...]) -> None:
    assert rate_windows(query) == windows
