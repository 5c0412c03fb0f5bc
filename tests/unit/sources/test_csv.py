from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scaler.errors import NoData, ResponseMalformed, SourceError
from scaler.sources.csv import read_csv

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "load.csv"
    path.write_text(text)
    return path


def test_reads_iso_times_with_a_heading(tmp_path: Path) -> None:
    text = "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T01:01:00+01:00,2.5\n2026-01-01 00:02:00,nan\n"
    series = read_csv(written(tmp_path, text))
    assert (series.start, series.step) == (1767225600, 60)
    np.testing.assert_array_equal(series.values, [1.0, 2.5, np.nan])


def test_reads_epoch_seconds_without_a_heading_and_more_columns(tmp_path: Path) -> None:
    series = read_csv(written(tmp_path, "600,1,x\n900.0,,y\n1500,3e1,z\n\n"))
    assert (series.start, series.step) == (600, 300)
    np.testing.assert_array_equal(series.values, [1.0, np.nan, np.nan, 30.0])


def test_the_step_is_the_most_common_distance_or_the_one_given(tmp_path: Path) -> None:
    path = written(tmp_path, "0,1\n60,2\n120,3\n600,4\n")
    assert read_csv(path).step == 60
    assert read_csv(path, step=120).values.tolist()[:2] == [1.0, 3.0]


def test_where_scrapes_are_seconds_late_the_step_is_what_was_meant(tmp_path: Path) -> None:
    late = [0, 2, 1, 0, 3, 1, 2, 0, 1, 3]  # no two distances alike for half of the time
    path = written(tmp_path, "".join(f"{60 * n + late[n % 10]},{n}\n" for n in range(1, 200)))
    assert read_csv(path).step == 60
    even = written(tmp_path, "".join(f"{59 * n},{n}\n" for n in range(200)))
    assert read_csv(even).step == 59
    sparse = written(tmp_path, "".join(f"{300 * n},{n}\n" for n in range(300) if n % 2 == 0 or n % 11 == 0))
    assert read_csv(sparse).step == 600
    rows = [0, 1, 2, 5, 7, 9, 11, 14, 15, 16, 20, 22, 24, 27, 29]  # most two steps apart, all of them multiples of one
    assert read_csv(written(tmp_path, "".join(f"{300 * n},{n}\n" for n in [*rows, 30, 31, 32]))).step == 300


@pytest.mark.parametrize(
    ("step", "late"), [(86400, (0, -1)), (86400, (0, -1, 1)), (60, (0, 1)), (1, (0.0, 0.04, -0.03))]
)
def test_samples_about_the_moments_of_a_grid_are_of_these_moments(
    tmp_path: Path, step: int, late: tuple[float, ...]
) -> None:
    path = written(tmp_path, "".join(f"{step * n + late[n % len(late)]},{n}\n" for n in range(1, 21)))
    series = read_csv(path)
    assert (series.start, series.step) == (step, step)
    assert series.values.tolist() == list(range(1, 21))


def test_days_that_begin_at_a_local_midnight_stay_days_when_clocks_change(tmp_path: Path) -> None:
    """The Azores': an hour after UTC's midnight in winter, with it in summer."""
    times = [86400 * n + (3600 if n <= 10 else 0) for n in range(1, 21)]
    series = read_csv(written(tmp_path, "".join(f"{time},{n}\n" for n, time in enumerate(times, 1))))
    assert (series.start, series.step) == (86400, 86400)
    assert series.values.tolist() == list(range(1, 21))


def test_samples_that_are_all_late_or_at_any_second_are_the_next_moments(tmp_path: Path) -> None:
    series = read_csv(written(tmp_path, "61,1\n121,2\n181,3\n241,4\n"))
    assert (series.start, series.values.tolist()) == (120, [1.0, 2.0, 3.0, 4.0])
    anyhow = [61, 90, 120, 175, 200]
    series = read_csv(written(tmp_path, "".join(f"{time},{n}\n" for n, time in enumerate(anyhow))), step=60)
    assert series.values.tolist()[:2] == [2.0, 3.0]  # the last one up to the moment


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_bytes(b"\xef\xbb\xbftime,load\r\n60,1\r\n120,2\r\n")
    assert read_csv(path).values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "60,1\n120,abc\n",
            ResponseMalformed,
            ", line 2, column 2 (value): 'abc' is no number; a missing sample is empty or NaN",
        ),
        (
            "60,1\n120,inf\n",
            ResponseMalformed,
            ", line 2, column 2 (value): 'inf' is not finite; a missing sample is empty or NaN",
        ),
        (
            "time,load\nyesterday,1\n",
            ResponseMalformed,
            (
                ", line 2, column 1 (time): 'yesterday' is no time; "
                "write epoch seconds or ISO 8601, such as 1767225600 or 2026-01-01T00:00:00Z"
            ),
        ),
        (
            "inf,1\n",
            ResponseMalformed,
            (
                ", line 1, column 1 (time): 'inf' is no time; "
                "write epoch seconds or ISO 8601, such as 1767225600 or 2026-01-01T00:00:00Z"
            ),
        ),
        (
            "60,1\n60,2\n",
            ResponseMalformed,
            (
                ", line 2, column 1 (time): 1970-01-01T00:01:00Z is not after 1970-01-01T00:01:00Z of the line before; "
                "the lines must be sorted by time, each time once"
            ),
        ),
        (
            "-60,1\n",
            ResponseMalformed,
            ", line 1, column 1 (time): '-60' is not within the years 1970 to 9999",
        ),
        ("60\n", ResponseMalformed, ", line 1: has one column; a line is a time and a value with a comma between them"),
        (
            "time;load\n60;1\n120;2\n",
            ResponseMalformed,
            ", line 2: has one column; a line is a time and a value with a comma between them, not a semicolon",
        ),
        (
            "60\t1\n120\t2\n",
            ResponseMalformed,
            ", line 2: has one column; a line is a time and a value with a comma between them, not a tab",
        ),
        ("time,load\n60,1\n", NoData, ": holds 1 sample; a series needs at least two"),
        ("time,load\n60,\n120,NaN\n180,null\n", NoData, ": all of its 3 samples are missing: empty or NaN"),
        ("", NoData, ": holds 0 samples; a series needs at least two"),
        (
            "0,1\n1,1\n1767225600000,1\n",
            ResponseMalformed,
            (
                ", line 3, column 1 (time): '1767225600000' is not within the years 1970 to 9999; "
                "times are seconds: are these milliseconds?"
            ),
        ),
        (
            "1767225600000000000,1\n",
            ResponseMalformed,
            (
                ", line 1, column 1 (time): '1767225600000000000' is not within the years 1970 to 9999; "
                "times are seconds: are these nanoseconds?"
            ),
        ),
        (
            "0,1\n1,1\n1767225600,1\n",
            ResponseMalformed,
            (
                ": from 1970-01-01T00:00:00Z to 2026-01-01T00:00:00Z at a step of 1 s are more than 5000000 samples; "
                "are the times in seconds?"
            ),
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_column(
    tmp_path: Path, text: str, error: type[SourceError], says: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(error) as raised:
        read_csv(path)
    assert str(raised.value) == f"{path}{says}"


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        read_csv(tmp_path / "none.csv")
    assert str(raised.value) == f"{tmp_path / 'none.csv'}: cannot be read: No such file or directory"
    path = tmp_path / "load.csv"
    path.write_bytes(b"60,1\n\xff\xfe")
    with pytest.raises(ResponseMalformed) as malformed:
        read_csv(path)
    assert str(malformed.value) == f"{path}: byte 5 is no UTF-8: this is no CSV file"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(b"%d,1\n" % n for n in range(10_000, 15_000)) + b"15000,\xff\n")
    with pytest.raises(ResponseMalformed) as late:
        read_csv(path)
    assert str(late.value) == f"{path}: byte 40009 is no UTF-8: this is no CSV file"
    path.write_bytes("60,1\n120,2\n".encode("utf-16"))
    with pytest.raises(ResponseMalformed) as wide:
        read_csv(path)
    assert str(wide.value) == f"{path}: it is in UTF-16; save it as UTF-8"
