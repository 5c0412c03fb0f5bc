from __future__ import annotations

from scaler.replay.pods import Pods


def test_pods_serve_after_their_startup_and_count_from_their_creation() -> None:
    pods = Pods(2, (3,))
    pods.resize(0, 5)
    assert (pods.total, pods.ready) == (5, 2)
    pods.advance(2)
    assert pods.ready == 2
    pods.advance(3)
    assert pods.ready == 5


def test_pods_not_ready_go_first_and_of_these_the_latest() -> None:
    pods = Pods(2, (4,))
    pods.resize(0, 4)
    pods.resize(1, 7)
    pods.resize(2, 3)  # the three of tick 1 go, and one of tick 0
    assert (pods.total, pods.ready) == (3, 2)
    pods.advance(4)
    assert pods.ready == 3
    pods.advance(5)
    assert pods.ready == 3
    pods.resize(6, 1)
    assert (pods.total, pods.ready) == (1, 1)


def test_several_startups_are_taken_in_turn() -> None:
    pods = Pods(0, (4, 1, 2))
    pods.resize(0, 4)  # ready at 4, 1, 2 and 4
    ready = []
    for tick in range(1, 5):
        pods.advance(tick)
        ready.append(pods.ready)
    assert ready == [1, 2, 2, 4]


def test_no_startup_serves_at_once() -> None:
    pods = Pods(1, (0,))
    pods.resize(0, 3)
    assert pods.ready == 3
