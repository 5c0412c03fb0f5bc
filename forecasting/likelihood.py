"""Maximum likelihood, by statsmodels, of the small models that are left once seasons are taken out.

What a textbook would estimate, for those who want it: on deseasonalised values both have a handful of parameters and no
seasonal states, so they stay within seconds where statsmodels on the whole problem takes minutes or gigabytes.

Sources: Hyndman, Koehler, Ord and Snyder, "Forecasting with exponential smoothing", 2008, chapters 3 and 5; Brockwell
and Davis, "Introduction to time series and forecasting", 3rd ed., 2016, section 5.2; Monahan, "A note on enforcing
stationarity in autoregressive-moving average models", Biometrika 71, 1984. The innovations algorithm took a fiftieth
of the Kalman filter's time for the same likelihood. statsmodels is imported when it is used: two seconds and
33 MB that predicting does without.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import FitFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecasting.series import FloatArray

__all__ = ["arma_by_likelihood", "smoothing_by_likelihood"]

# Smoothing slower than this would not forget its start within the samples that forecasts are made from.
_SLOWEST = 0.01
# The cost is proportional to the samples, and the parameters of an ARMA are known long before so many.
_MAX_SAMPLES = 4096
# Partial autocorrelations are kept this far below 1, where likelihoods are no longer computable.
_NEAREST = 0.999
_MAX_ITERATIONS = 100


def smoothing_by_likelihood(x: FloatArray, *, trend: bool) -> tuple[float, float, float]:
    """Exponential smoothing with additive errors, and with a damped trend if that lowers the corrected AIC.

    Args:
        x: Nothing missing; shape (n,).
        trend: Whether a trend may be used.

    Returns:
        alpha, beta and phi, in error-correction form; beta 0 and phi 0.5 without a trend.

    Raises:
        FitFailed: There is no maximum to be found.
    """
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel  # noqa: PLC0415  # heavy: see above

    found: list[tuple[float, tuple[float, float, float]]] = []
    with _as_fit_failed("ets"):
        for damped in (False, True) if trend else (False,):
            model = ETSModel(
                _unit_scale(x),
                error="add",
                trend="add" if damped else None,
                damped_trend=damped,
                bounds={"smoothing_level": (_SLOWEST, 0.9999)},
            )
            result = model.fit(disp=False, maxiter=_MAX_ITERATIONS)
            names = dict(zip(model.param_names, result.params, strict=True))
            alpha, beta = names["smoothing_level"], names.get("smoothing_trend", 0.0)
            parameters = (float(alpha), float(beta), float(names.get("damping_trend", 0.5)))
            if np.isfinite(result.aicc) and np.isfinite(parameters).all():
                found.append((float(result.aicc), parameters))
    if not found:
        raise FitFailed("ets: the likelihood is not finite anywhere; estimator=fast does without it")
    return min(found)[1]


def arma_by_likelihood(
    x: FloatArray, ar: Sequence[float], ma: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The ARMA of the same order that makes these samples likeliest, by the innovations algorithm.

    Args:
        x: Mean 0, nothing missing; shape (n,). The latest 4,096 are used.
        ar: Where to start from: stationary.
        ma: Where to start from: invertible.

    Returns:
        Coefficients of lags of x and of lags of the errors: stationary and invertible.

    Raises:
        FitFailed: There is no maximum to be found, or not within 100 iterations.
    """
    if not (ar or ma):
        return (), ()
    from scipy.optimize import minimize  # noqa: PLC0415  # heavy: see above
    from statsmodels.tsa.innovations.arma_innovations import arma_innovations  # noqa: PLC0415  # heavy: see above

    def coefficients(free: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _stable(free[: len(ar)]), -_stable(free[len(ar) :])

    def minus_log_likelihood(free: FloatArray) -> float:
        # per sample, up to a constant, the errors' variance maximised out
        errors, variances = arma_innovations(sample, *coefficients(free))
        return float(np.log((errors**2 / variances).mean()) + np.log(variances).mean())

    with _as_fit_failed("arima"):
        sample = _unit_scale(x[-_MAX_SAMPLES:])
        start = np.concatenate([_free(np.array(ar)), _free(-np.array(ma))])
        found = minimize(minus_log_likelihood, start, method="L-BFGS-B", options={"maxiter": _MAX_ITERATIONS})
    if not np.isfinite(found.fun):
        raise FitFailed("arima: the likelihood is not finite anywhere; estimator=fast does without it")
    if found.nit >= _MAX_ITERATIONS:
        raise FitFailed(
            f"arima: the likelihood has no maximum within {_MAX_ITERATIONS} iterations; estimator=fast does without it"
        )
    best = coefficients(found.x)
    return tuple(float(each) for each in best[0]), tuple(float(each) for each in best[1])


def _stable(free: FloatArray) -> FloatArray:
    """Any numbers to the coefficients of a stationary autoregression, by partial autocorrelations (Monahan 1984)."""
    out = np.empty(0)
    for partial in _NEAREST * free / np.sqrt(1 + free**2):
        out = np.append(out - partial * out[::-1], partial)
    return out


def _free(coefficients: FloatArray) -> FloatArray:
    """What `_stable` makes these coefficients of, or of ones near by that are further from the unit circle."""
    partials = np.empty(coefficients.size)
    left = coefficients
    for order in range(coefficients.size - 1, -1, -1):
        partials[order] = np.clip(left[order] / _NEAREST, -0.99, 0.99)
        partial = _NEAREST * partials[order]
        left = (left[:order] + partial * left[:order][::-1]) / (1 - partial**2)
    return partials / np.sqrt(1 - partials**2)


def _unit_scale(x: FloatArray) -> FloatArray:
    """To a standard deviation of 1: what optimisers take for a small step depends on it, the parameters do not."""
    deviation = float(np.nanstd(x))
    if not np.isfinite(deviation) or deviation <= 0:
        raise ValueError("the samples do not vary once seasons are taken out")
    return x / deviation


@contextmanager
def _as_fit_failed(name: str) -> Iterator[None]:
    """Whatever statsmodels raises on strange samples is a FitFailed; its warnings are judged by its results."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    except (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError) as error:
        raise FitFailed(f"{name}: maximum likelihood failed: {error}; estimator=fast does without it") from error
