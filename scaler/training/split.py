"""What is learned from and what is kept back: by time, and by series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import TimeSeries

__all__ = ["Split", "Tested"]

_DAY = 86400


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """A history of which the end is forecast.

    Attributes:
        name: Of the series.
        series: All of it.
        train_end: Time of the last sample that may be learned from, epoch seconds.
        unseen: Nothing of it is learned from, not its beginning either.
    """

    name: str
    series: TimeSeries
    train_end: int
    unseen: bool


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Histories to learn from, and the parts that judge.

    Attributes:
        train: Beginnings of most series.
        test: Ends of all of them, and series that are kept back whole.
    """

    train: tuple[TimeSeries, ...]
    test: tuple[Tested, ...]

    @classmethod
    def of(cls, histories: Sequence[tuple[str, TimeSeries]], *, test: float, unseen: float) -> Split:
        """Splits the same histories the same way every time.

        Args:
            histories: Name and series.
            test: Share of each series' time that is kept back, its end.
            unseen: Share of the series that are kept back whole, where there are five or more, one at least; which,
                their names decide.
        """
        ranked = sorted(histories, key=lambda named: hashlib.sha256(named[0].encode()).digest())
        hidden = {
            name for name, _ in ranked[: max(1, round(unseen * len(ranked))) if unseen and len(ranked) >= 5 else 0]
        }
        train, tested = [], []
        for name, series in histories:
            known = series.first(len(series) - int(test * len(series)))
            if name not in hidden:
                train.append(known)
            tested.append(Tested(name, series, known.end, name in hidden))
        return cls(tuple(train), tuple(tested))
