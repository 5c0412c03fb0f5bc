"""The exposition source against a real page: that of a Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaler.errors import NoData
from scaler.sources.base import SourceSpec

if TYPE_CHECKING:
    from scaler.sources.factory import SourcePool
    from tests.integration.conftest import MakePrometheus


async def test_the_page_of_a_prometheus(prometheus_server: MakePrometheus, pool: SourcePool) -> None:
    server = prometheus_server([("load", {"pod": pod}, [(1_700_000_000.0, 1.0)]) for pod in "abc"])
    source = pool.open(SourceSpec(kind="exposition", address=server.url))
    assert (await source.instant('prometheus_build_info{version=~"[0-9].*"}')).value == 1
    assert (await source.instant("prometheus_tsdb_blocks_loaded")).value == 1
    for counter in (
        'prometheus_http_requests_total{handler="/metrics"}',
        'prometheus_http_request_duration_seconds_bucket{handler="/metrics",le="+Inf"}',
        "prometheus_http_request_duration_seconds_count",
    ):
        with pytest.raises(NoData, match="counts: its rate is known after a second scrape"):
            await source.instant(counter)
