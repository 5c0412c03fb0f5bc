from __future__ import annotations

from fractions import Fraction

import pytest

from scaler.replay.quantity import milli, quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10", Fraction(10)),
        (".5", Fraction(1, 2)),
        ("333m", Fraction(333, 1000)),
        ("2k", Fraction(2000)),
        ("1Ki", Fraction(1024)),
        ("5e2", Fraction(500)),
        ("5E-1", Fraction(1, 2)),
        ("3E", Fraction(3 * 10**18)),
        (" 1.5Gi ", Fraction(3 * 2**29)),
    ],
)
def test_reads_what_kubernetes_writes(text: str, number: Fraction) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["", "ten", "1,5", "1 k", "1K", "m", "nan", "inf"])
def test_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a Kubernetes quantity such as 10, 0\.5 or 500m$"):
        quantity(text)


def test_thousandths_cut_off_what_is_finer() -> None:
    assert milli(0.3339) == 333
    assert milli(-0.3339) == -333
    assert milli(Fraction(1, 3)) == 333
