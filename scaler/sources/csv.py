"""A load trace from a CSV file: a time and a value per line."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from forecasting.series import TimeSeries
from scaler.errors import NoData, ResponseMalformed, SourceError
from scaler.times import TIME_FORMS, iso, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["MAX_SAMPLES", "read_csv"]

MAX_SAMPLES = 5_000_000
"""On the grid, gaps included: ten years of minutes. More is a mistake in the times."""

_MISSING = ("", "nan", "null", "none", "na")
_STEP_FROM = 1000  # samples: the step must not depend on what comes late in the file


def read_csv(path: Path, *, step: int | None = None) -> TimeSeries:
    """The series in a file.

    The first column is the time, epoch seconds or ISO 8601 (UTC where no zone is given), the second the value; an
    empty one or NaN is a missing sample. More columns are ignored, and so is a first line that names them.

    Args:
        path: The file.
        step: Seconds of the grid; None: the most common distance of the first thousand samples.

    Raises:
        SourceError: The file cannot be read.
        ResponseMalformed: A line is not as above; the text names the line and the column.
        NoData: There are fewer than two samples.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            samples = list(_samples(csv.reader(file), str(path)))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ResponseMalformed(f"{path}: byte {error.start} is no UTF-8: this is no CSV file") from error
    except csv.Error as error:
        raise ResponseMalformed(f"{path}: this is no CSV file: {error}") from error
    if len(samples) < 2:
        raise NoData(f"{path}: holds {len(samples)} samples; a series needs at least two")
    step = step or _step(samples)
    if (samples[-1][0] - samples[0][0]) / step > MAX_SAMPLES:
        raise ResponseMalformed(
            f"{path}: from {iso(samples[0][0])} to {iso(samples[-1][0])} at a step of {step} s are more than "
            f"{MAX_SAMPLES} samples; are the times in seconds?"
        )
    return TimeSeries.from_samples(samples, step=step)


def _samples(rows: Iterable[list[str]], path: str) -> Iterator[tuple[float, float]]:
    last: float | None = None
    for line, row in enumerate(rows, 1):
        if not row or not "".join(row).strip() or (line == 1 and _is_header(row)):
            continue
        if len(row) < 2:
            raise ResponseMalformed(f"{path}, line {line}: has one column; a line is a time and a value")
        time = _time(row[0], path, line)
        if last is not None and time <= last:
            raise ResponseMalformed(
                f"{path}, line {line}, column 1 (time): {iso(time)} is not after {iso(last)} of the line before; "
                "the lines must be sorted by time, each time once"
            )
        last = time
        yield time, _value(row[1], path, line)


def _is_header(row: list[str]) -> bool:
    """Neither column of a heading is what it would be in a line of data."""
    try:
        parse_time(row[0])
    except ValueError:
        pass
    else:
        return False
    try:
        float(row[1] if len(row) > 1 else "")
    except ValueError:
        return True
    return False


def _time(text: str, path: str, line: int) -> float:
    where = "{}, line {}, column 1 (time)"  # filled in where it is needed: files have ten thousands of lines
    try:
        time = parse_time(text)
    except ValueError as error:
        raise ResponseMalformed(f"{where.format(path, line)}: {text!r} is no time; write {TIME_FORMS}") from error
    if not 0 <= time <= 253_402_300_799:
        raise ResponseMalformed(
            f"{where.format(path, line)}: {text!r} is not within the years 1970 to 9999; are these milliseconds?"
        )
    return time


def _value(text: str, path: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError as error:
        if text.strip().lower() in _MISSING:
            return math.nan
        raise ResponseMalformed(
            f"{path}, line {line}, column 2 (value): {text.strip()!r} is no number; a missing sample is empty or NaN"
        ) from error
    if math.isinf(value):
        raise ResponseMalformed(
            f"{path}, line {line}, column 2 (value): {text.strip()!r} is not finite; a missing sample is empty or NaN"
        )
    return value


def _step(samples: list[tuple[float, float]]) -> int:
    """The most common distance, the shorter of two equally common ones."""
    times = [time for time, _ in samples[:_STEP_FROM]]
    distances = Counter(max(1, round(after - before)) for before, after in itertools.pairwise(times))
    return min(distances, key=lambda distance: (-distances[distance], distance))
