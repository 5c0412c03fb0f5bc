"""Histories out of the prometheus source: pieces, gaps, series that take turns, and what is no history."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scaler.errors import (
    ResponseMalformed,
    SourceUnreachable,
    TooManySeries,
)
from scaler.sources.prometheus import PrometheusSource
from tests.support.prometheus_answers import MALFORMED, NOW, SPEC, S, matrix, reply, vector

if TYPE_CHECKING:
    import httpx

    from tests.unit.sources.conftest import Answer, Target

START = 1_799_999_940  # a multiple of 60


def spans(target: Target) -> list[tuple[int, int, int]]:
    params = [request.url.params for request in target.requests]
    return [(int(each["start"]), int(each["end"]), int(each["step"])) for each in params]


def ramp(request: httpx.Request) -> Answer:
    start, end, step = (int(request.url.params[name]) for name in ("start", "end", "step"))
    return matrix(({}, [(time, str(time - START)) for time in range(start, end + 1, step)]))


@pytest.mark.parametrize(
    ("points", "pieces"),
    [(1, [1]), (11_000, [11_000]), (11_001, [11_000, 1]), (25_000, [11_000, 11_000, 3_000])],
)
async def test_a_range_comes_in_pieces_that_meet(target: Target, points: int, pieces: list[int]) -> None:
    target.answers = [ramp]
    end = START + (points - 1) * 60
    series = await target.source(PrometheusSource).range("up", start=START, end=end, step=60)
    assert [(end - start) // step + 1 for start, end, step in spans(target)] == pieces
    assert spans(target)[0][0] == START
    assert spans(target)[-1][1] == end
    assert (series.start, series.step) == (START, 60)
    assert series.values.tolist() == [60.0 * i for i in range(points)]


async def test_an_empty_span_asks_nothing(target: Target) -> None:
    series = await target.source(PrometheusSource).range("up", start=START, end=START - 60, step=60)
    assert (len(series), target.requests) == (0, [])


async def test_gaps_stay_gaps(target: Target) -> None:
    target.answers = [matrix(({}, [(START, "1"), (START + 60, "NaN"), (START + 120, "+Inf"), (START + 240, "-0")]))]
    source = target.source(PrometheusSource, replace(SPEC, ignore_null_values=True))
    series = await source.range("up", start=START, end=START + 300, step=60)
    assert np.array_equal(series.values, [1, np.nan, np.nan, np.nan, 0, np.nan], equal_nan=True)


@pytest.mark.parametrize("result", [[], [({}, [(START, "NaN")])], [({}, [])]])
async def test_nothing_known_is_a_series_of_length_0(target: Target, result: list[Any]) -> None:
    target.answers = [matrix(*result)]
    assert len(await target.source(PrometheusSource).range("up", start=START, end=START + 300, step=60)) == 0


async def test_series_that_take_turns_are_one_history_and_a_meeting_is_a_gap(target: Target) -> None:
    target.answers = [
        matrix(
            ({"pod": "a"}, [(START, "1"), (START + 60, "2"), (START + 120, "3")]),
            ({"pod": "b"}, [(START + 120, "9"), (START + 180, "4")]),
        )
    ]
    series = await target.source(PrometheusSource).range("up", start=START, end=START + 180, step=60)
    assert np.array_equal(series.values, [1, 2, np.nan, 4], equal_nan=True)


async def test_several_series_at_every_moment_are_too_many(target: Target) -> None:
    target.answers = [matrix(({"pod": "a"}, [(START, "1")]), ({"pod": "b"}, [(START, "2")]))]
    with pytest.raises(TooManySeries) as caught:
        await target.source(PrometheusSource).range("up", start=START, end=START + 180, step=60)
    assert str(caught.value) == (
        "query 'up' gives 2 series where one is needed, among them "
        '{pod="a"} and {pod="b"}; aggregate them, for example with sum(...)'
    )


async def test_two_samples_at_one_time_are_no_answer(target: Target) -> None:
    target.answers = [matrix(({}, [(NOW, "1"), (NOW, "2")]))]
    with pytest.raises(ResponseMalformed) as caught:
        await target.source(PrometheusSource).range("up", start=int(NOW), end=int(NOW) + 60, step=60)
    assert str(caught.value) == (
        f"{S} answers with JSON that is not Prometheus's: several samples of one series at one time"
    )


async def test_samples_beside_the_span_are_left_out(target: Target) -> None:
    target.answers = [matrix(({}, [(START - 60, "1"), (START, "2"), (START + 60.001, "3"), (START + 120, "4")]))]
    series = await target.source(PrometheusSource).range("up", start=START, end=START + 60, step=60)
    assert series.values.tolist() == [2, 3]


async def test_samples_off_the_grid_are_refused(target: Target) -> None:
    target.answers = [matrix(({}, [(START + 30, "1")]))]
    with pytest.raises(ResponseMalformed) as caught:
        await target.source(PrometheusSource).range("up", start=START, end=START + 60, step=60)
    assert str(caught.value) == MALFORMED + "a sample at 1799999970.0 where multiples of 60 s were asked for"


async def test_a_history_that_may_be_partial_is_logged_once(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    partial, whole = matrix(({}, [(START, "1")]), warnings=["store-1 is down"]), matrix(({}, [(START, "1")]))
    target.answers = [partial, partial, whole, partial]
    source = target.source(PrometheusSource)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            await source.range("up", start=START, end=START, step=60)
    assert caplog.messages == [f"the history of query 'up' may be partial: {S} warns: store-1 is down"] * 2


async def test_a_range_has_patience_that_an_instant_has_not(target: Target) -> None:
    target.time.chance = 1.0
    target.answers = [reply(503, retry_after="6"), reply(503, retry_after="6"), ramp]
    source = target.source(PrometheusSource)
    assert len(await source.range("up", start=START, end=START, step=60)) == 1
    target.answers = [reply(503, retry_after="6"), reply(503, retry_after="6"), vector(({}, "1"))]
    with pytest.raises(SourceUnreachable, match=r"; tried 2 times$"):
        await source.instant("up")
