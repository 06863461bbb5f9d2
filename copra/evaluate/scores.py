"""RMSE, MAE and correlations of predicted and measured dG, plain and for weighted records.

The weighted forms score many bootstrap samples at once: a weight is how often a record was drawn.
Correlations keep their sign; what is not defined is nan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# below this share of the values' own size a spread is rounding noise
RELATIVE_SPREAD = 1e-12


def rmse(measured: Values, predicted: Values) -> float:
    """Root of the mean squared difference, in the unit of the values [n]; nan for n = 0."""
    return float(weighted_rmse(measured, predicted, _ones(measured))[0])


def mae(measured: Values, predicted: Values) -> float:
    """Mean absolute difference, in the unit of the values [n]; nan for n = 0."""
    return float(weighted_mae(measured, predicted, _ones(measured))[0])


def pearson(measured: Values, predicted: Values) -> float:
    """Pearson's correlation of the values [n]; nan for n < 2 and where either side is constant."""
    return float(weighted_pearson(measured, predicted, _ones(measured))[0])


def spearman(measured: Values, predicted: Values) -> float:
    """Spearman's rank correlation of the values [n], ties with their mean rank; nan as for `pearson`."""
    return float(weighted_spearman(measured, predicted, _ones(measured))[0])


def _ones(values: Values) -> Values:
    return np.ones((1, len(values)))


def weighted_rmse(measured: Values, predicted: Values, weights: Values) -> Values:
    """RMSE [samples] of values [n] under weights [samples, n]."""
    return np.sqrt(_mean((predicted - measured) ** 2, weights))


def weighted_mae(measured: Values, predicted: Values, weights: Values) -> Values:
    """MAE [samples] of values [n] under weights [samples, n]."""
    return _mean(np.abs(predicted - measured), weights)


def weighted_pearson(measured: Values, predicted: Values, weights: Values) -> Values:
    """Pearson's correlation [samples] of values [n] or [samples, n] under weights [samples, n]."""
    x = _centred(measured, weights)
    y = _centred(predicted, weights)
    covariance, x_var, y_var = (np.sum(weights * a * b, axis=1) for a, b in ((x, y), (x, x), (y, y)))
    total = weights.sum(axis=1)
    defined = _varies(measured, x_var, total) & _varies(predicted, y_var, total)
    product = np.where(defined, np.sqrt(x_var) * np.sqrt(y_var), 1.0)
    return np.where(defined, np.clip(covariance / product, -1.0, 1.0), np.nan)


def weighted_spearman(measured: Values, predicted: Values, weights: Values) -> Values:
    """Spearman's rank correlation [samples] of values [n] under weights [samples, n]."""
    return weighted_pearson(weighted_ranks(measured, weights), weighted_ranks(predicted, weights), weights)


def weighted_ranks(values: Values, weights: Values) -> Values:
    """Mean rank [samples, n] of each value [n] when it stands there as often as its weight [samples, n]."""
    if not len(values):
        return np.zeros_like(weights)
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    count = np.add.reduceat(weights[:, order], starts, axis=1)  # [samples, distinct]
    below = np.cumsum(count, axis=1) - count
    return (below + (count + 1) / 2)[:, group]


def _mean(values: Values, weights: Values) -> Values:
    total = weights.sum(axis=1)
    return np.where(total > 0, weights @ values / np.where(total > 0, total, 1.0), np.nan)


def _centred(values: Values, weights: Values) -> Values:
    total = weights.sum(axis=1)
    mean = np.sum(weights * values, axis=1) / np.where(total > 0, total, 1.0)
    return np.atleast_2d(values) - mean[:, None]


def _varies(values: Values, variance_sum: Values, total: Values) -> NDArray[np.bool_]:
    largest = float(np.max(np.abs(values), initial=0.0))
    return variance_sum > total * (RELATIVE_SPREAD * largest) ** 2


METRICS: dict[str, Callable[[Values, Values, Values], Values]] = {
    "rmse": weighted_rmse,
    "mae": weighted_mae,
    "pcc": weighted_pearson,
    "scc": weighted_spearman,
}
