"""Dynamic harmonic regression: Fourier terms of the seasons, and ARIMA errors.

Square roots of load are regressed on sines and cosines of the seasons found; what is left follows an ARIMA(p, d, q)
estimated by Hannan and Rissanen's regressions, which take milliseconds where maximum likelihood takes
seconds. Of a few orders, the one that forecasts best over several horizons in training is taken.

Sources: Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd ed., 2021, section 10.5; Hannan and
Rissanen, "Recursive estimation of mixed autoregressive-moving average order", Biometrika 69, 1982. History: 480 known
samples; two cycles before a season counts. Cost: half a second to fit 10,080 points, two to five seconds with
estimator=exact, which starts there and goes on to maximum likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import FitFailed, InvalidParameter
from forecasting.likelihood import arma_by_likelihood
from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.prepare.gaps import carried, interpolated
from forecasting.prepare.outliers import masked
from forecasting.prepare.seasons import checked_season_length, season_lengths
from forecasting.serialise import stored_as
from forecasting.windows import thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray, Windows

__all__ = ["Arima", "Arma", "FittedArima", "Harmonics", "hannan_rissanen"]

_Coefficients: TypeAlias = NDArray[np.float64]

_MIN_HISTORY = 480
# Residuals are run over so many steps; invertible errors have forgotten what lies before.
_CONTEXT = 240
_LONG_ORDER = 40
_ORDERS = ((1, 0, 0), (2, 0, 0), (5, 0, 0), (1, 0, 1), (2, 0, 2), (0, 1, 1), (1, 1, 1), (2, 1, 2), (0, 1, 0))
_ORIGINS = 1000
_RIDGE = 1e-4
# Roots nearer the unit circle than this make forecasts that never settle, or residuals that never forget.
_STABLE = 0.995


@dataclass(frozen=True, eq=False, kw_only=True)
class Harmonics:
    """Sines and cosines of one season.

    Attributes:
        length: Steps in a cycle; phase 0 is where times are multiples of length * step.
        cosines: Coefficients of cos(2 pi k t / length), k = 1, 2, ...; shape (K,).
        sines: Of the sines; shape (K,).
    """

    length: int
    cosines: _Coefficients
    sines: _Coefficients

    def at(self, steps: IntArray) -> FloatArray:
        """Their sum at these times, in steps since the epoch."""
        # one turn is computed once and read at each phase
        phase = 2 * np.pi * np.arange(self.length) / self.length
        turn = np.zeros(self.length)
        for k, (cosine, sine) in enumerate(zip(self.cosines, self.sines, strict=True), 1):
            turn += cosine * np.cos(k * phase) + sine * np.sin(k * phase)
        return np.asarray(turn[steps % self.length])


@dataclass(frozen=True, kw_only=True)
class Arma:
    """x(t) = ar[0] x(t-1) + ... + e(t) + ma[0] e(t-1) + ...; differences are multiplied into `ar`."""

    ar: tuple[float, ...]
    ma: tuple[float, ...]

    def summed(self) -> Arma:
        """The model of the sums of what this one is the model of: of x, if this is of x(t) - x(t-1)."""
        ar = np.convolve([1.0, *(-c for c in self.ar)], [1.0, -1.0])
        return Arma(ar=tuple(float(-c) for c in ar[1:]), ma=self.ma)

    def inverse(self, length: int) -> FloatArray:
        """Weights that make e(t) of x(t), x(t-1), ...; shape (length,)."""
        out = np.zeros(length)
        for j in range(length):
            out[j] = 1.0 if j == 0 else (-self.ar[j - 1] if j <= len(self.ar) else 0.0)
            for i, coefficient in enumerate(self.ma, 1):
                if i <= j:
                    out[j] -= coefficient * out[j - i]
        return out

    def paths(self, past: FloatArray, horizon: int) -> FloatArray:
        """Expected x after these rows; shape (N, horizon).

        Args:
            past: x, oldest first; shape (N, C).
            horizon: Steps ahead.
        """
        n, length = past.shape
        lags, errors = len(self.ar), len(self.ma)
        x = np.zeros((n, lags + horizon))
        if lags:
            x[:, :lags] = past[:, length - lags :]
        e = np.zeros((n, errors + horizon))
        weights = self.inverse(length)[::-1] if errors else np.empty(0)
        for back in range(errors):
            e[:, errors - 1 - back] = (past[:, : length - back] * weights[back:]).sum(axis=1)
        for h in range(horizon):
            for i, coefficient in enumerate(self.ar, 1):
                x[:, lags + h] += coefficient * x[:, lags + h - i]
            for j, coefficient in enumerate(self.ma, 1):
                x[:, lags + h] += coefficient * e[:, errors + h - j]
        return x[:, lags:]


@stored_as("arima/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedArima(PathForecaster):
    """Harmonics and ARMA errors of the square root of load, in units.

    Attributes:
        constant: Mean.
        harmonics: One per season.
        errors: What is left.
        length: Samples that the errors are run over.
    """

    constant: float
    harmonics: tuple[Harmonics, ...]
    errors: Arma
    length: int

    @property
    def context_length(self) -> int:
        """The samples that the errors are run over."""
        return self.length

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """Regression and errors, squared."""
        now = windows.ends[:, None] // windows.step
        past = carried(np.sqrt(np.maximum(windows.values, 0.0)) - self._regression(now + np.arange(1 - self.length, 1)))
        root = self._regression(now + np.arange(1, horizon + 1)) + self.errors.paths(past, horizon)
        return np.asarray(np.maximum(root, 0.0) ** 2)

    def _regression(self, steps: IntArray) -> FloatArray:
        total = np.full(steps.shape, self.constant)
        for harmonics in self.harmonics:
            total += harmonics.at(steps)
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Arima:
    """Harmonic regression with ARIMA errors.

    Attributes:
        season_length: Steps in the season; None: found, several at once; 0: none.
        harmonics: Pairs of Fourier terms per season.
        estimator: The errors' coefficients are those of two regressions (fast) or, of the same order, those of
            statsmodels' maximum likelihood (exact).
    """

    name: ClassVar[str] = "arima"
    season_length: int | None = None
    harmonics: int = 10
    estimator: Literal["fast", "exact"] = "fast"

    def __post_init__(self) -> None:
        checked_season_length(self.season_length, least=0)
        if not 1 <= self.harmonics <= 50:
            raise InvalidParameter(f"parameter 'harmonics' must lie between 1 and 50, not {self.harmonics}")
        if self.estimator not in ("fast", "exact"):
            raise InvalidParameter(f"parameter 'estimator' must be fast or exact, not {self.estimator!r}")

    def min_history(self, step: int) -> int:
        """Known samples needed: for the errors; seasons count as they come."""
        del step
        return _MIN_HISTORY

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedArima:
        """Finds seasons, regresses, chooses the order, calibrates."""
        del levels  # calibrated on a grid that serves all
        require(self.name, series, self.min_history(series.step))
        seasons = season_lengths(series, self.season_length)
        return fit_calibrated(lambda scaled: self._estimate(scaled, seasons, horizon), series, horizon=horizon)

    def _estimate(self, series: TimeSeries, seasons: tuple[int, ...], horizon: int) -> FittedArima:
        root = np.sqrt(np.maximum(masked(series, seasons).values, 0.0))
        if np.count_nonzero(~np.isnan(root)) < 2 * _LONG_ORDER:
            raise FitFailed(f"arima: fewer than {2 * _LONG_ORDER} samples are left without outliers")
        steps = series.start // series.step + np.arange(len(series))
        constant, harmonics = _regress(root, steps, seasons, self.harmonics)
        length = min(_CONTEXT, len(series) // 3)
        fitted = FittedArima(
            step=series.step, constant=constant, harmonics=harmonics, errors=Arma(ar=(), ma=()), length=length
        )
        left = root - fitted._regression(steps)  # noqa: SLF001  # its own class's
        errors, differences = _best_order(left, length, horizon)
        if self.estimator == "exact":
            whole = interpolated(left)
            found = arma_by_likelihood(np.diff(whole) if differences else whole, errors.ar, errors.ma)
            errors = Arma(ar=found[0], ma=found[1])
        if differences:
            errors = errors.summed()
        return FittedArima(step=series.step, constant=constant, harmonics=harmonics, errors=errors, length=length)


def long_errors(x: FloatArray) -> FloatArray:
    """The errors of a long autoregression, which the orders' regressions share; 0 where it has no past; shape (n,)."""
    errors = np.zeros(x.size)
    lags = _lagged(x, _LONG_ORDER)
    errors[_LONG_ORDER:] = x[_LONG_ORDER:] - lags @ _solve(lags, x[_LONG_ORDER:])
    return errors


def hannan_rissanen(x: FloatArray, p: int, q: int, *, errors: FloatArray | None = None) -> Arma | None:
    """An ARMA(p, q) by two regressions: a long autoregression for the errors, then on lags of x and of these.

    Args:
        x: Mean 0, nothing missing; shape (n,).
        p: Lags of x.
        q: Lags of the errors.
        errors: `long_errors(x)`, if they are known already.

    Returns:
        None if the estimate is not stationary or not invertible.
    """
    if errors is None:
        errors = long_errors(x) if q else np.zeros(x.size)
    skip = _LONG_ORDER + max(p, q) if q else p
    columns = [x[skip - i : x.size - i] for i in range(1, p + 1)]
    columns += [errors[skip - j : x.size - j] for j in range(1, q + 1)]
    found = _solve(np.stack(columns, axis=1), x[skip:]) if columns else np.empty(0)
    arma = Arma(ar=tuple(float(c) for c in found[:p]), ma=tuple(float(c) for c in found[p:]))
    stable = _inside([-c for c in arma.ar]) and _inside(list(arma.ma))
    return arma if stable else None


def _regress(
    root: FloatArray, steps: IntArray, seasons: tuple[int, ...], pairs: int
) -> tuple[float, tuple[Harmonics, ...]]:
    """Ridge regression on a constant and the seasons' Fourier terms, each frequency once."""
    known = ~np.isnan(root)
    lengths = sorted(length for length in seasons if len(root) >= 2 * length)
    columns, index = [np.ones(steps.shape)], []
    taken: set[float] = set()
    for length in lengths:
        phase = 2 * np.pi * (steps % length) / length
        for k in range(1, min(pairs, (length - 1) // 2) + 1):
            if round(k / length, 9) in taken:  # a harmonic of the week that the day has already
                continue
            taken.add(round(k / length, 9))
            index.append((length, k))
            columns += [np.cos(k * phase), np.sin(k * phase)]
    found = _solve(np.stack(columns, axis=1)[known], root[known])
    harmonics = []
    for length in lengths:
        cosines, sines = np.zeros(pairs), np.zeros(pairs)
        for i, (of, k) in enumerate(index):
            if of == length:
                cosines[k - 1], sines[k - 1] = found[1 + 2 * i], found[2 + 2 * i]
        harmonics.append(Harmonics(length=length, cosines=cosines, sines=sines))
    return float(found[0]), tuple(harmonics)


def _best_order(left: FloatArray, length: int, horizon: int) -> tuple[Arma, int]:
    """The model of the errors that forecasts best over several horizons, and of how often they are differenced."""
    x = interpolated(left)
    at = np.arange(length - 1, len(left) - 1)
    at = at[~np.isnan(left[at])]
    at = thinned(at, _ORIGINS)
    walk = Arma(ar=(), ma=()), 1
    if len(at) < 30:
        return walk
    past = np.lib.stride_tricks.sliding_window_view(carried(left), length)[at - length + 1]
    ahead = np.unique([1, max(1, horizon // 4), max(1, horizon // 2), horizon])
    came = np.concatenate([left, np.full(horizon, np.nan)])[at[:, None] + ahead]
    known = np.maximum((~np.isnan(came)).sum(axis=0), 1)
    best, least, reference = walk, np.inf, np.ones(len(ahead))
    sources = {d: (differenced, long_errors(differenced)) for d, differenced in enumerate((x, np.diff(x)))}
    for p, d, q in ((0, 1, 0), *(order for order in _ORDERS if order != (0, 1, 0))):
        arma = hannan_rissanen(sources[d][0], p, q, errors=sources[d][1]) if p or q else Arma(ar=(), ma=())
        if arma is None:
            continue
        whole = arma.summed() if d else arma
        miss = np.nansum(np.abs(came - whole.paths(past, horizon)[:, ahead - 1]), axis=0) / known
        if least == np.inf:
            reference = np.maximum(miss, 1e-12)
        loss = float((miss / reference).sum())
        if loss < least:
            best, least = (arma, d), loss
    return best


def _lagged(x: FloatArray, lags: int) -> FloatArray:
    return np.stack([x[lags - i : x.size - i] for i in range(1, lags + 1)], axis=1)


def _solve(design: FloatArray, target: FloatArray) -> FloatArray:
    gram = design.T @ design
    size = max(float(np.trace(gram)) / len(gram), 1e-300)
    return np.asarray(np.linalg.solve(gram + _RIDGE * 1e-3 * size * np.eye(len(gram)), design.T @ target))


def _inside(coefficients: list[float]) -> bool:
    """Whether 1 + c[0] z + c[1] z^2 + ... has its roots well outside the unit circle."""
    if not coefficients:
        return True
    return bool(np.all(np.abs(np.roots([1.0, *coefficients])) < _STABLE))
