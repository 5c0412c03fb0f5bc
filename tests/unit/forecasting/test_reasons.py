from __future__ import annotations

import pytest

from forecasting.reasons import reason_for, seasons_in_words

TWO = {"boosted": 0.6, "seasonal-profile": 0.4}


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([], "no season found"),
        ([86400], "daily season found"),
        ([604800, 86400], "daily and weekly seasons found"),
        ([86400, 28800], "8 h and daily seasons found"),
        ([604800, 3600, 129600], "hourly, 36 h and weekly seasons found"),
        ([5400], "1.5 h season found"),
        ([90], "1.5 min season found"),
        ([12], "12 s season found"),
    ],
)
def test_seasons_are_named_as_people_do(lengths: list[int], says: str) -> None:
    assert seasons_in_words(lengths) == says


@pytest.mark.parametrize(
    ("losses", "days", "won", "says"),
    [
        (
            {"seasonal-profile": 0.75, "boosted": 0.66},
            5.0,
            True,
            (
                "daily season found; boosted beats seasonal-profile by 12 % and the last value by 34 % over 5.0 days: "
                "60 % boosted and 40 % seasonal-profile"
            ),
        ),
        (
            {"seasonal-profile": 1.2, "boosted": 0.9},
            0.4,
            True,
            (
                "daily season found; boosted beats the last value by 10 % and seasonal-profile by 25 % over 576 "
                "minutes: 60 % boosted and 40 % seasonal-profile"
            ),
        ),
        (
            {"seasonal-profile": 0.0, "boosted": 0.0},
            2.0,
            True,
            (
                "daily season found; seasonal-profile, level with boosted, beats the last value by 100 % over 2.0 "
                "days: 60 % boosted and 40 % seasonal-profile"
            ),
        ),
        (
            {"seasonal-profile": 1.2, "boosted": 0.99},
            2.0,
            False,
            (
                "unpredictable: serving observed load with headroom, or the forecast if higher (60 % boosted and 40 % "
                "seasonal-profile): daily season found; nothing beats the last value over 2.0 days (boosted loses 1 % "
                "less, seasonal-profile loses 20 % more)"
            ),
        ),
    ],
)
def test_who_beats_whom_is_told(losses: dict[str, float], days: float, *, won: bool, says: str) -> None:
    assert reason_for(TWO, losses, days=days, won=won, seasons=[86400]) == says


@pytest.mark.parametrize(
    ("losses", "why"),
    [
        ({}, "the history is too short to compare them"),
        (
            {"seasonal-profile": 1.2, "boosted": 0.99},
            "nothing beats the last value over 480 minutes (boosted loses 1 % less, seasonal-profile loses 20 % more)",
        ),
    ],
)
def test_on_first_days_it_is_told_whether_methods_were_compared(losses: dict[str, float], why: str) -> None:
    assert reason_for(TWO, losses, days=1 / 3, won=False, seasons=[86400], young=True) == (
        f"daily season found; 60 % boosted and 40 % seasonal-profile, as on the first days of other series: {why}"
    )


def test_where_nobody_competed_the_last_value_alone_is_unpredictable() -> None:
    assert reason_for({"naive": 1.0}, {}, days=0.1, won=False, seasons=None) == (
        "unpredictable: serving observed load with headroom, or the forecast if higher (naive alone): the history is "
        "too short for more, or too little of it is known"
    )
