from __future__ import annotations

import pytest

from scaler.words import duration, number, plural


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "0.5s"),
        (2.0, "2s"),
        (1.9999, "2s"),
        (9.96, "10s"),
        (45.4, "45s"),
        (59.6, "1m"),
        (225, "3m45s"),
        (3600, "1h"),
        (3601, "1h"),
        (187_200, "2d4h"),
        (-30, "-30s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (100.0, "100"),
        (0.25, "0.25"),
        (132.44, "132.4"),
        (53211.7, "53212"),
        (12_345_678.0, "1.235e+07"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_plural() -> None:
    assert [plural(1, "trigger"), plural(2, "trigger"), plural(2, "series")] == [
        "1 trigger",
        "2 triggers",
        "2 series",
    ]
