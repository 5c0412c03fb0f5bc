"""The decision log in the engine: kept in a real file, read in the order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from scaler.decision.change import Change
from scaler.engine.assembly import running_engine
from scaler.engine.decisions import DecisionLog
from scaler.engine.messages import Ask, Reply
from scaler.engine.meter import NoMeter
from scaler.engine.persistence import Persistence
from scaler.settings import Settings
from scaler.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from scaler.errors import StoreError
    from scaler.sources.base import MetricSource, SourceSpec


@pytest.fixture
def errors() -> list[StoreError]:
    return []


@pytest.fixture
async def persistence(tmp_path: Path, errors: list[StoreError]) -> AsyncIterator[Persistence]:
    made = Persistence(SqliteStore(tmp_path / "foresail.db"), on_error=errors.append)
    yield made
    await made.close(now=0.0)


def decoded(data: bytes) -> list[tuple[str, Change]]:
    return msgspec.msgpack.decode(data, type=list[tuple[str, Change]])


async def test_what_was_added_is_in_the_answer_to_the_next_question(persistence: Persistence) -> None:
    log = DecisionLog(persistence)
    changes = [Change.failed(text, at=at) for at, text in ((10.0, "first"), (20.0, "second"), (30.0, "third"))]
    log.add([("shop/web/a", changes[1]), ("shop/web/b", changes[0]), ("media/web/c", changes[0])])
    log.add([("shop/web/a", changes[2])])
    replies: list[Reply] = []
    log.answer(Ask(7, "decisions", ["shop/web/", "0.0", "10"]), replies.append)
    log.answer(Ask(8, "decisions", ["shop/web/", "15.0", "1"]), replies.append)
    await log.settle()
    assert [reply.number for reply in replies] == [7, 8]
    assert decoded(replies[0].data) == [
        ("shop/web/b", changes[0]),
        ("shop/web/a", changes[1]),
        ("shop/web/a", changes[2]),
    ]
    assert decoded(replies[1].data) == [("shop/web/a", changes[2])]


async def test_a_store_that_fails_costs_the_log_and_nothing_else(
    persistence: Persistence, errors: list[StoreError]
) -> None:
    persistence._store.close()
    log = DecisionLog(persistence)
    log.add([("shop/web/a", Change.failed("x", at=1.0))])
    replies: list[Reply] = []
    log.answer(Ask(1, "decisions", ["shop/web/", "0.0", "10"]), replies.append)
    await log.settle()
    assert decoded(replies[0].data) == []
    assert len(errors) == 2


async def test_what_was_added_last_is_in_the_store_when_the_engine_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "foresail.db"

    def no_source(spec: SourceSpec) -> MetricSource:
        raise AssertionError(spec)

    async with running_engine(
        settings=Settings(data_dir=tmp_path),
        store=SqliteStore(path),
        open_source=no_source,
        publish=lambda _: None,
        clock=lambda: 2.0,
        meter=NoMeter(),
    ) as engine:
        engine.decisions.add([("shop/web/a", Change.failed("last", at=1.0))])
    again = SqliteStore(path)
    assert [at for _, at, _ in again.decisions("shop/web/", since=0.0, most=9)] == [1.0]
    again.close()
