"""A load trace from a CSV file: a time and a value per line."""

from __future__ import annotations

import codecs
import csv
import itertools
import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING

from forecasting.series import TimeSeries
from scaler.errors import NoData, ResponseMalformed, SourceError
from scaler.times import TIME_FORMS, iso, parse_time
from scaler.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["MAX_SAMPLES", "read_csv"]

MAX_SAMPLES = 5_000_000
"""On the grid, gaps included: ten years of minutes. More is a mistake in the times."""

_LAST_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z
_MISSING = ("", "nan", "null", "none", "na")
_FINER = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_MARKS = {";": "a semicolon", "\t": "a tab", "|": "a bar"}
_STEP_FROM = 1000  # samples: the step must not depend on what comes late in the file
# Where distances differ by seconds: what people sample at, if the median distance is this near to it.
_USUAL_STEPS = (
    *(1, 5, 10, 15, 20, 30),
    *(60, 120, 180, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400),
)
# In parts of a step: how near to a usual step the median distance must be, and how late a sample may be for its moment.
_NEAR = 0.05
_MOST = 0.9  # of the samples: no others are late or in time


def read_csv(path: Path, *, step: int | None = None) -> TimeSeries:
    """The series in a file.

    The first column is the time, epoch seconds or ISO 8601 (UTC where no zone is given), the second the value; an
    empty one or NaN is a missing sample. More columns are ignored, and so is a first line that names them. Where some
    samples are a bit late for the moments of the grid and others are not, the late ones count as in time.

    Args:
        path: The file.
        step: Seconds of the grid; None: the most common distance of the first thousand samples, or where they are at
            no even distances the usual one that is nearest.

    Raises:
        SourceError: The file cannot be read.
        ResponseMalformed: A line is not as above; the text names the line and the column.
        NoData: There are fewer than two samples, or none is known.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            samples = list(_samples(csv.reader(file), str(path)))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ResponseMalformed(f"{path}: {_no_text(path, error)}") from error
    except csv.Error as error:
        raise ResponseMalformed(f"{path}: this is no CSV file: {error}") from error
    if len(samples) < 2:
        raise NoData(f"{path}: holds {plural(len(samples), 'sample')}; a series needs at least two")
    if all(math.isnan(value) for _, value in samples):
        raise NoData(f"{path}: all of its {len(samples)} samples are missing: empty or NaN")
    step = step or _step(samples)
    if (samples[-1][0] - samples[0][0]) / step > MAX_SAMPLES:
        raise ResponseMalformed(
            f"{path}: from {iso(samples[0][0])} to {iso(samples[-1][0])} at a step of {step} s are more than "
            f"{MAX_SAMPLES} samples; are the times in seconds?"
        )
    return TimeSeries.from_samples(_in_time(samples, step), step=step)


def _no_text(path: Path, error: UnicodeDecodeError) -> str:
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it is in UTF-16; save it as UTF-8"
    where = "a byte"  # of what can be read only once, as a pipe
    if path.is_file():
        try:  # the position that the error tells is that in the part which was decoded last
            path.read_bytes().decode()
        except UnicodeDecodeError as found:
            where = f"byte {found.start}"
    return f"{where} is no UTF-8: this is no CSV file"


def _samples(rows: Iterable[list[str]], path: str) -> Iterator[tuple[float, float]]:
    last: float | None = None
    for line, row in enumerate(rows, 1):
        if not row or not "".join(row).strip() or (line == 1 and _is_header(row)):
            continue
        if len(row) < 2:
            between = next((f", not {named}" for mark, named in _MARKS.items() if mark in row[0]), "")
            raise ResponseMalformed(
                f"{path}, line {line}: has one column; a line is a time and a value with a comma between them{between}"
            )
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
    if not 0 <= time <= _LAST_TIME:
        unit = next((unit for unit, many in _FINER.items() if 0 <= time / many <= _LAST_TIME), "")
        raise ResponseMalformed(
            f"{where.format(path, line)}: {text!r} is not within the years 1970 to 9999"
            + (f"; times are seconds: are these {unit}?" if unit else "")
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
    """The most common distance, the shorter of two equally common ones.

    The usual step that their median is near to, if there is one, where most distances are no multiples of the common
    one, as when each sample bears the second that it was scraped in, or where the times keep to the usual one better.
    """
    times = [time for time, _ in samples[:_STEP_FROM]]
    apart = [max(1, round(after - before)) for before, after in itertools.pairwise(times)]
    seen = Counter(apart)
    common = min(seen, key=lambda distance: (-seen[distance], distance))
    median = statistics.median(apart)
    usual = next((step for step in _USUAL_STEPS if abs(step - median) <= _NEAR * median), common)
    uneven = 2 * sum(distance % common == 0 for distance in apart) < len(apart)
    return usual if uneven or _drift(times, usual) < _drift(times, common) else common


def _drift(times: list[float], step: int) -> float:
    """How far the times are, in the mean, from the multiples of a step that the first of them begins, seconds.

    Lateness does not add up, a wrong step does: of samples at 0, 61, 120, 181, 240, 301 s and so on, every other one a
    second late, more distances are 61 s than 59 s, and the thousandth is far from a multiple of either.
    """
    return statistics.fmean(min((time - times[0]) % step, (times[0] - time) % step) for time in times)


def _in_time(samples: list[tuple[float, float]], step: int) -> list[tuple[float, float]]:
    """The samples, those a bit late at their moments, if others are in time: as one moment's, they would be the next's.

    A grid's sample is the last one up to its moment: with 59.9 and 120.1 s, the one at 60 s would be known, that at
    120 s not, and the one at 180 s known twice.
    """
    late = [time % step for time, _ in samples[:_STEP_FROM]]
    near = _NEAR * step
    after = sum(0 < beyond <= near for beyond in late)
    before = sum(beyond == 0 or step - beyond <= near for beyond in late)
    if not after or not before or after + before < _MOST * len(late):
        return samples
    return [(time - time % step if time % step <= near else time, value) for time, value in samples]
