"""One model for every series: boosted quantiles learned from many, on features that know no unit.

Features and target are divided by how much the series' log-ratios moved lately, so a calm series and a rough one
teach each other. A young series is forecast by it alone, an older one grows trees of its own on top.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from forecasting.boosting import KINDS, Growth, Sample, anchors, fit_quantiles, sample
from forecasting.errors import FitFailed, InvalidState
from forecasting.features.scalefree import Kind, Past, Scale
from forecasting.pretrained import PRETRAINED, Pretrained
from forecasting.serialise import dumps, loads, stored_as
from forecasting.trees import TreeEnsemble  # msgspec reads the annotations of FleetModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.scalefree import Rows
    from forecasting.forecaster import FittedForecaster
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["FLEETS", "PRETRAINED", "FleetModel", "known_fleet", "remember_fleet", "train_fleet"]

GROWTH = Growth(trees=160, leaves=16, learning_rate=0.08, rows=60_000, min_rows=60, features=0.3)
# Horizons learned: minutes that autoscaling asks for.
_HORIZON_MINUTES = 60
# Each series is also shown as if it had begun so many days ago: the first days must be learned, too.
_AGES = (1.1, 1.6, 2.5, 4.0, 8.0)
_SHARE_YOUNG = 0.35


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

    def predict(self, kind: Kind, rows: Rows | Sample) -> FloatArray:
        """Log-ratio quantiles in units of the spread; shape (N, levels)."""
        x = rows.x if isinstance(rows, Sample) else rows.standardised()
        ensembles = self.value if kind == "value" else self.peak
        return np.stack([ensemble.predict(x) for ensemble in ensembles], axis=1)

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


def train_fleet(series: Sequence[TimeSeries], *, growth: Growth = GROWTH) -> FleetModel:
    """Trains a fleet model; each series counts the same, whatever its length.

    Args:
        series: Histories of a day and a half or more; shorter ones are left out. Steps may differ.
        growth: How trees are grown; `rows` in all.

    Raises:
        FitFailed: No series is long enough.
    """
    usable = [s for s in series if s.known * s.step >= 1.5 * 86400]
    if not usable:
        raise FitFailed(f"none of these {len(series)} series has the day and a half that a fleet model learns from")
    ensembles = {}
    for kind in KINDS:
        parts = [part for s in usable for part in _views(s, kind, growth.rows // len(usable))]
        x = np.concatenate([p.x for p in parts])
        y = np.concatenate([p.y / p.spread for p in parts])
        weight = np.concatenate([p.weight / p.weight.mean() for p in parts])
        ensembles[kind] = fit_quantiles(x, y, weight, growth=growth)
    return FleetModel(value=ensembles["value"], peak=ensembles["peak"], series=len(usable))


def _views(series: TimeSeries, kind: Kind, rows: int) -> list[Sample]:
    """Rows of the whole series and of pieces of it that look like young ones."""
    horizons = anchors(series.step, max(1, _HORIZON_MINUTES * 60 // series.step))
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
