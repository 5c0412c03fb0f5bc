from __future__ import annotations

from forecasting.network import NETWORKS
from scaler.training.judge import CHALLENGER, CHAMPION, Verdict, judge
from scaler.training.split import Split
from tests.support.networks import daily_load, random_network

HISTORIES = [(f"series-{n}", daily_load(10.0**n, n, days=2.2)) for n in range(6)]


def test_a_split_keeps_the_end_of_every_series_and_some_series_whole() -> None:
    split = Split.of(HISTORIES, test=0.25, unseen=0.2)
    assert [one.name for one in split.test] == [name for name, _ in HISTORIES]
    hidden = [one.name for one in split.test if one.unseen]
    assert len(hidden) == 1
    assert len(split.train) == 5
    whole = len(HISTORIES[0][1])
    for one in split.test:
        assert one.train_end == one.series.start + 300 * (whole - whole // 4 - 1)
    assert all(series.end == split.test[0].train_end for series in split.train)
    again = Split.of(list(reversed(HISTORIES)), test=0.25, unseen=0.2)
    assert [one.name for one in again.test if one.unseen] == hidden  # whatever their order
    assert not any(one.unseen for one in Split.of(HISTORIES[:4], test=0.25, unseen=0.5).test)


def test_random_weights_lose_to_the_shipped_ones_and_equal_ones_do_not() -> None:
    split = Split.of(HISTORIES[:2], test=0.25, unseen=0.0)
    told: list[tuple[int, int]] = []
    random = random_network(units=3, dense=3, seed=9)
    shipped = NETWORKS.shipped()
    verdict = judge(
        split.test,
        kind="lstm",
        challenger=random,
        champion=shipped,
        told=lambda done, total: told.append((done, total)),
    )
    assert verdict.lost
    assert (verdict.series, verdict.unseen) == (2, 0)
    assert set(verdict.losses) == {"naive", CHALLENGER, CHAMPION, "seasonal-naive", "auto"}
    assert verdict.losses[CHAMPION] < verdict.losses["naive"] == 1.0
    assert told == [(1, 2), (2, 2)]
    assert not judge(split.test[:1], kind="lstm", challenger=shipped, champion=shipped).lost


def test_series_too_short_to_judge_by_give_no_verdict() -> None:
    split = Split.of([("short", daily_load(1.0, 1, days=0.3))], test=0.2, unseen=0.0)
    shipped = NETWORKS.shipped()
    assert judge(split.test, kind="lstm", challenger=shipped, champion=shipped) == Verdict({}, 0, 0)
