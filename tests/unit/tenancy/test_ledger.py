"""What each namespace takes, and that no other pays for it."""

from __future__ import annotations

import pytest

from scaler.errors import LimitReached
from scaler.tenancy.ledger import FIT_SPAN, Ledger
from scaler.tenancy.tenants import Quotas


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ledger(clock: Clock | None = None, **quotas: int) -> Ledger:
    noisy = Quotas(**quotas)
    return Ledger(quotas_of=lambda name: noisy if name == "noisy" else Quotas(), monotonic=clock or Clock())


def refusal(one: Ledger, trigger: str, *, series: str = "s", size: int = 8) -> str:
    with pytest.raises(LimitReached) as caught:
        one.add(trigger, namespace="noisy", series=series, size=size)
    return str(caught.value)


END = "drop some of its triggers, or let the operator raise the quota; other namespaces are served on"


def test_triggers() -> None:
    one = ledger(triggers=2)
    for trigger in ("1", "2"):
        one.add(trigger, namespace="noisy", series="s", size=8)
    assert refusal(one, "3") == f"namespace noisy has 2 triggers in use, and its quota namespace_triggers is 2: {END}"
    one.add("4", namespace="quiet", series="s", size=8)
    one.remove("1")
    one.add("3", namespace="noisy", series="s", size=8)


def test_series_that_triggers_share_count_once() -> None:
    one = ledger(series=2)
    for trigger, series in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "b")):
        one.add(trigger, namespace="noisy", series=series, size=8)
    assert refusal(one, "5", series="c") == (
        f"namespace noisy has 2 distinct series, and its quota namespace_series is 2: {END}"
    )
    one.remove("1")
    refusal(one, "5", series="c")
    one.remove("2")
    one.add("5", namespace="noisy", series="c", size=8)


def test_bytes_count_the_longest_window_of_a_series() -> None:
    one = ledger(bytes=100)
    one.add("1", namespace="noisy", series="a", size=60)
    one.add("2", namespace="noisy", series="a", size=40)
    one.add("3", namespace="noisy", series="a", size=90)
    assert refusal(one, "4", series="b", size=11) == (
        f"namespace noisy has 90 bytes of samples in memory, and its quota namespace_bytes is 100: {END}"
    )
    one.add("4", namespace="noisy", series="b", size=10)
    assert [(name, usage.bytes, usage.triggers) for name, usage in one.usages()] == [("noisy", 100, 4)]
    for trigger in "1234":
        one.remove(trigger)
    assert list(one.usages()) == []


def test_a_refused_trigger_leaves_nothing_behind() -> None:
    one = ledger(bytes=10)
    refusal(one, "1", size=11)
    assert list(one.usages()) == []


def test_fits_come_back_after_an_hour() -> None:
    clock = Clock()
    one = ledger(clock, fits=2)
    for moment in (0.0, 600.0):
        clock.now = moment
        assert one.may_fit(["noisy"])
        one.fitted(["noisy"])
    assert not one.may_fit(["noisy"])
    assert one.may_fit(["quiet"])
    assert one.may_fit(["noisy", "quiet"])  # a series of both: quiet has one left
    one.fitted(["noisy", "quiet"])
    assert {name: len(usage.fits) for name, usage in one.usages()} == {"noisy": 2, "quiet": 1}
    clock.now = FIT_SPAN - 1
    assert not one.may_fit(["noisy"])
    clock.now = FIT_SPAN
    assert one.may_fit(["noisy"])
    clock.now = 2 * FIT_SPAN + 600.0
    assert list(one.usages()) == []
