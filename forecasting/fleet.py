"""One model for every series: boosted quantiles learned from many, on features that know no unit.

Features and target are divided by how much the series' log-ratios moved lately, so a calm series and a rough one
teach each other. A young series is forecast by it alone, an older one grows trees of its own on top. The model that
ships has seen generated series only (`forecasting.generate`): real ones were too few. With the traces that are at hand
beside them, as they are or in thirty disguises each, traces left out lost as much, and loads of other kinds more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from forecasting.boosting import KINDS, Growth, Sample, anchors, as_they_count, fit_quantiles, sample
from forecasting.errors import FitFailed, InvalidState
from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.generate import any_series
from forecasting.pretrained import PRETRAINED, Pretrained
from forecasting.serialise import dumps, loads, stored_as
from forecasting.trees import Forest, TreeEnsemble  # msgspec reads the annotations of FleetModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from forecasting.features.rolling import Float32Array
    from forecasting.forecaster import FittedForecaster
    from forecasting.series import FloatArray, TimeSeries

__all__ = [
    "FLEETS",
    "PRETRAINED",
    "FleetModel",
    "Lessons",
    "generated_lessons",
    "grown_fleet",
    "known_fleet",
    "lessons_of",
    "remember_fleet",
    "train_fleet",
]

GROWTH = Growth(trees=160, leaves=16, learning_rate=0.09, rows=60_000, min_rows=60, features=0.3)
# Horizons learned: minutes that autoscaling asks for.
_HORIZON_MINUTES = 60
# Horizons that a series is seen at.
_ANCHORS = 6
# Each series is also shown as if it had begun so many days ago: the first days must be learned, too.
_AGES = (1.1, 1.6, 2.5, 4.0, 8.0)
_SHARE_YOUNG = 0.35
# Shorter series teach nothing.
_LEAST_SECONDS = 1.5 * 86400
# Generated series: how long, so that two weeks of lags are seen, and rows of each, of each kind.
_GENERATED_DAYS = (6.0, 21.0)
_GENERATED_ROWS = 300


@stored_as("fleet/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FleetModel:
    """Quantiles of the log-ratio in units of its recent spread.

    Attributes:
        value: One ensemble for each of `forecasting.boosting.LEVELS`, of the value at a horizon.
        peak: The same of the peak up to it.
        series: How many series it was trained on.
    """

    value: tuple[TreeEnsemble, ...]
    peak: tuple[TreeEnsemble, ...]
    series: int

    def predict(self, kind: Kind, x: Float32Array) -> FloatArray:
        """Log-ratio quantiles in units of the spread.

        Args:
            kind: What they are of.
            x: Features, standardised; shape (N, F).

        Returns:
            Shape (N, levels).
        """
        return self._forests[kind].predict(x)

    @cached_property
    def _forests(self) -> dict[Kind, Forest]:
        return {"value": Forest.of(self.value), "peak": Forest.of(self.peak)}

    def digest(self) -> str:
        """Names this model wherever it is referred to: 16 hexadecimal digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """As `forecasting.serialise` writes models."""
        return dumps(cast("FittedForecaster", self))

    @classmethod
    def from_bytes(cls, data: bytes) -> FleetModel:
        """What `to_bytes` wrote.

        Raises:
            InvalidState: The bytes are something else.
        """
        model: object = loads(data)
        if not isinstance(model, cls):
            raise InvalidState(f"these bytes are a {type(model).__name__}, not a fleet model")
        return model


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What a fleet model learns from some series; by kind.

    Attributes:
        x: Features, standardised; shape (N, F).
        y: Log-ratios that came, in units of the spread; shape (N,).
        weight: Each series counts the same, whatever its length; shape (N,).
        series: How many series.
    """

    x: Mapping[Kind, Float32Array]
    y: Mapping[Kind, Float32Array]
    weight: Mapping[Kind, Float32Array]
    series: int


def lessons_of(series: Iterable[TimeSeries], *, rows: int) -> Lessons:
    """Rows of histories.

    Args:
        series: Histories of a day and a half or more; shorter ones are left out. Steps may differ.
        rows: Of each series, and of each kind.

    Raises:
        FitFailed: No series is long enough.
    """
    parts: dict[Kind, list[Sample]] = {kind: [] for kind in KINDS}
    looked_at = usable = 0
    for one in series:
        looked_at += 1
        if one.known * one.step < _LEAST_SECONDS:
            continue
        usable += 1
        for kind in KINDS:
            parts[kind] += [part for part in _views(one, kind, rows) if len(part)]
    if not usable:
        raise FitFailed(f"none of these {looked_at} series has the day and a half that a fleet model learns from")
    return Lessons(
        x={kind: np.concatenate([p.x for p in parts[kind]]) for kind in KINDS},
        y={kind: np.concatenate([p.y / p.spread for p in parts[kind]]) for kind in KINDS},
        weight={kind: np.concatenate([p.weight / p.weight.mean() for p in parts[kind]]) for kind in KINDS},
        series=usable,
    )


def generated_lessons(count: int, *, seed: int) -> Lessons:
    """Rows of so many generated series, the same for the same seed; every third one may be unsteady."""
    return lessons_of(_generated(count, seed=seed), rows=_GENERATED_ROWS)


def _generated(count: int, *, seed: int) -> Iterator[TimeSeries]:
    for number in range(count):
        yield any_series(np.random.default_rng([seed, number]), days=_GENERATED_DAYS, unsteady=number % 3 == 2)


def train_fleet(
    series: Sequence[TimeSeries],
    *,
    growth: Growth = GROWTH,
    generated: int = 0,
    seed: int = 1,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> FleetModel:
    """Trains a fleet model on histories; each series counts the same, whatever its length.

    Generated series beside them count as much as all histories together: they show what a few histories do not.

    Args:
        series: Histories of a day and a half or more; shorter ones are left out. Steps may differ.
        growth: How trees are grown; `rows` of the histories, and as many of generated series.
        generated: How many generated series there are.
        seed: Of all that is drawn.
        told: Called with the series looked at and their number.

    Raises:
        FitFailed: No series is long enough.
    """
    enough, total = sum(one.known * one.step >= _LEAST_SECONDS for one in series), len(series) + generated

    def counted(some: Iterable[TimeSeries], *, before: int) -> Iterator[TimeSeries]:
        for number, one in enumerate(some, start=before + 1):
            yield one
            told(number, total)

    parts = [lessons_of(counted(series, before=0), rows=growth.rows // max(1, enough))]
    if generated:
        drawn = counted(_generated(generated, seed=seed), before=len(series))
        parts.append(lessons_of(drawn, rows=_GENERATED_ROWS))
    return grown_fleet(parts, growth=replace(growth, rows=len(parts) * growth.rows))


def grown_fleet(parts: Sequence[Lessons], *, growth: Growth = GROWTH) -> FleetModel:
    """The model that these lessons make; each part counts the same, whatever its size.

    Rows are taken as often as they count, `growth.rows` of them or as many as there are: trees on rows that weigh alike
    grow in a fifth of the time, and are as good.
    """
    ensembles = {}
    for kind in KINDS:
        weight = np.concatenate([part.weight[kind] / part.weight[kind].sum(dtype=np.float64) for part in parts])
        taken = as_they_count(weight, min(growth.rows, len(weight)))
        x, y = (np.concatenate([getattr(part, name)[kind] for part in parts])[taken] for name in ("x", "y"))
        ensembles[kind] = fit_quantiles(x, y, np.ones(len(taken)), growth=growth)
    return FleetModel(value=ensembles["value"], peak=ensembles["peak"], series=sum(part.series for part in parts))


def _views(series: TimeSeries, kind: Kind, rows: int) -> list[Sample]:
    """Rows of the whole series and of pieces of it that look like young ones."""
    horizons = anchors(series.step, max(1, _HORIZON_MINUTES * 60 // series.step), most=_ANCHORS)
    day = 86400 // series.step
    young = int(rows * _SHARE_YOUNG)
    scale = Scale.of(series.values)
    out = [sample(Past(series, scale), kind, horizons, first=day // 2, end=len(series), rows=rows - young)]
    pieces = [age for age in _AGES if age * day < len(series)]
    for i, age in enumerate(pieces):
        length = int(age * day)
        # pieces lie at different places, spread over the series
        begin = int((len(series) - length) * ((i + 0.5) / len(pieces)))
        piece = series.first(begin + length).last(length)
        if piece.known < length // 2:
            continue
        half = max(0, length - max(day // 4, length // 3))
        past = Past(piece, Scale.of(piece.values))
        out.append(sample(past, kind, horizons, first=half, end=length, rows=young // len(pieces)))
    return out


FLEETS = Pretrained("fleet model", file="fleet.bin", read=FleetModel.from_bytes)
"""The fleet models that this process knows."""


def remember_fleet(model: FleetModel) -> str:
    """Makes a fleet model known to this process, so that `boosted` can refer to it by its digest."""
    return FLEETS.remember(model)


def known_fleet(name: str) -> FleetModel:
    """The fleet model of this digest, or the one in use; see `forecasting.pretrained`.

    Raises:
        InvalidParameter: None of that name is known to this process.
    """
    return FLEETS.known(name)
