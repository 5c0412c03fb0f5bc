from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from scaler.errors import AddressRefused, InvalidTrigger
from scaler.sources.address import AddressPolicy
from scaler.sources.base import SourceSpec
from scaler.sources.exposition import ExpositionSource
from scaler.sources.factory import SourcePool
from scaler.sources.prometheus import PrometheusSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SPEC = SourceSpec(kind="prometheus", address="http://prom:9090")


def _closed(client: httpx.AsyncClient) -> bool:
    return client.is_closed  # asked through a function, as mypy would hold the first answer for the last


@pytest.fixture
async def pool() -> AsyncIterator[SourcePool]:
    pool = SourcePool(policy=AddressPolicy())
    yield pool
    await pool.close()


async def test_equal_specifications_share_connections_until_the_last_closes(pool: SourcePool) -> None:
    first, second = pool.open(SPEC), pool.open(replace(SPEC, ignore_null_values=True))
    other = pool.open(replace(SPEC, bearer_token="x"))
    assert len(pool._shared) == 2
    client = pool._shared[SPEC].client
    await first.close()
    await first.close()
    assert not client.is_closed
    await second.close()
    assert _closed(client)
    assert SPEC not in pool._shared
    await other.close()
    assert pool._shared == {}


async def test_closing_the_pool_closes_everything(pool: SourcePool) -> None:
    source = pool.open(SPEC)
    client = pool._shared[SPEC].client
    await pool.close()
    assert client.is_closed
    await source.close()


async def test_what_cannot_be_opened_is_told_and_leaves_nothing(pool: SourcePool) -> None:
    with pytest.raises(
        InvalidTrigger, match="no source is of the kind 'graphite'; it is one of exposition, prometheus"
    ):
        pool.open(replace(SPEC, kind="graphite"))
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1:9090 is refused: it is a loopback address"):
        pool.open(replace(SPEC, address="http://127.0.0.1:9090"))
    with pytest.raises(InvalidTrigger, match="a header named 'Host' cannot be sent"):
        pool.open(replace(SPEC, headers=(("Host", "x"),)))
    assert pool._shared == {}


@pytest.mark.parametrize("kind", [PrometheusSource, ExpositionSource])
async def test_a_source_opened_by_itself_closes_its_own_connections(
    kind: type[PrometheusSource | ExpositionSource],
) -> None:
    client = httpx.AsyncClient()
    await kind(SPEC, client=client).close()
    assert client.is_closed


async def test_a_source_of_the_settings_is_the_operator_s_word(pool: SourcePool) -> None:
    pool.open(replace(SPEC, name="local", address="http://127.0.0.1:9090"))


async def test_the_client_follows_nothing_and_keeps_nothing(pool: SourcePool) -> None:
    pool.open(SPEC)
    client = pool._shared[SPEC].client
    assert (client.follow_redirects, client.trust_env) == (False, False)
    answer = httpx.Response(200, headers={"Set-Cookie": "a=b"}, request=client.build_request("GET", SPEC.address))
    client.cookies.extract_cookies(answer)
    assert len(client.cookies) == 0
