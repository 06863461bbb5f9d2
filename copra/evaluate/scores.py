"""RMSE, MAE and correlations of predicted and measured dG, plain and for weighted records.

The weighted forms score many predictors and many bootstrap samples at once: a weight is how often a record was
drawn. Shapes: measured [n], predicted [..., n], weights [samples, n] -> scores [..., samples]. Correlations keep
their sign; what is not defined is nan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# below this share of the values' own size a spread is rounding noise
RELATIVE_SPREAD = 1e-12
# the same for a variance that is left over when two sums are subtracted, beside the largest squared deviation
RELATIVE_VARIANCE = 1e-12


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
    """RMSE [..., samples] of predictions [..., n] under weights [samples, n]."""
    return np.sqrt(weighted_mean((predicted - measured) ** 2, weights))


def weighted_mae(measured: Values, predicted: Values, weights: Values) -> Values:
    """MAE [..., samples] of predictions [..., n] under weights [samples, n]."""
    return weighted_mean(np.abs(predicted - measured), weights)


def weighted_mean(values: Values, weights: Values) -> Values:
    """Mean [..., samples] of values [..., n] under weights [samples, n]; nan for a sample without weight."""
    total = weights.sum(axis=1)
    return np.where(total > 0, values @ weights.T / _nonzero(total), np.nan)


def weighted_pearson(measured: Values, predicted: Values, weights: Values) -> Values:
    """Pearson's correlation [..., samples] of predictions [..., n] under weights [samples, n].

    Sums of products of values that are centred first: one matrix product for all predictors and samples.
    """
    total = weights.sum(axis=1)
    x, y = _centred(measured), _centred(predicted)
    turned = weights.T
    x_sum, y_sum = x @ turned, y @ turned
    count = _nonzero(total)
    covariance = (x * y) @ turned - x_sum * y_sum / count
    x_var, y_var = (x * x) @ turned - x_sum**2 / count, (y * y) @ turned - y_sum**2 / count
    defined = _varies(measured, x, x_var, total) & _varies(predicted, y, y_var, total)
    return _quotient(covariance, x_var, y_var, defined)


def weighted_spearman(measured: Values, predicted: Values, weights: Values) -> Values:
    """Spearman's rank correlation [..., samples] of predictions [..., n] under weights [samples, n].

    Pearson's correlation of the ranks within each sample. For whole weights every sum here is a half-integer below
    2^53, so only the last quotient is rounded.
    """
    if not len(measured):
        return np.full((*predicted.shape[:-1], len(weights)), np.nan)
    rows = np.ascontiguousarray(weights.T)  # [n, samples], one record's weights side by side
    total = rows.sum(axis=0)
    middle = (total + 1) / 2
    x_rank = weighted_ranks(measured, weights).T
    lever = rows * (x_rank - middle)  # sums to 0 over the records, so the other side need not be centred
    cubes = total**3
    x_var = (cubes - _cubes_of_ties(measured, rows)) / 12
    flat = predicted.reshape(-1, len(measured))
    alone = ((lever * rows).sum(axis=0), (rows**3).sum(axis=0))
    scores = [_rank_correlation(y, rows, lever, alone, x_var, cubes) for y in flat]
    return np.reshape(scores, (*predicted.shape[:-1], len(total)))


def _rank_correlation(
    values: Values, rows: Values, lever: Values, alone: tuple[Values, Values], x_var: Values, cubes: Values
) -> Values:
    """One predictor's rank correlation [samples].

    The rank of a group of tied records with weight t is (weight up to and with it) - t/2 + 1/2. `alone` holds the
    sums of lever * t and of t^3 where no records are tied; ties correct them.
    """
    half, ties = (part.copy() for part in alone)
    upto, sum_, product = (np.zeros(rows.shape[1]) for _ in range(3))
    for group in _tie_groups(values):
        if len(group) == 1:
            weight, pull = rows[group[0]], lever[group[0]]
        else:
            weight, pull = rows[group].sum(axis=0), lever[group].sum(axis=0)
            half += pull * weight - (lever[group] * rows[group]).sum(axis=0)
            ties += weight**3 - (rows[group] ** 3).sum(axis=0)
        np.add(upto, weight, out=upto)
        np.multiply(upto, pull, out=product)
        np.add(sum_, product, out=sum_)
    y_var = (cubes - ties) / 12
    return _quotient(sum_ - half / 2, x_var, y_var, (x_var > 0) & (y_var > 0))


def _tie_groups(values: Values) -> list[list[int]]:
    """The positions of equal values, smallest value first."""
    order = np.argsort(values, kind="stable")
    cuts = np.flatnonzero(np.diff(values[order])) + 1
    if len(cuts) == len(values) - 1:
        return [[i] for i in order.tolist()]
    return [part.tolist() for part in np.split(order, cuts)]


def _cubes_of_ties(values: Values, rows: Values) -> Values:
    """Sum over groups of equal values of their weight to the third [samples]."""
    return np.sum([rows[group].sum(axis=0) ** 3 for group in _tie_groups(values)], axis=0)


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


def _nonzero(total: Values) -> Values:
    return np.where(total > 0, total, 1.0)


def _centred(values: Values) -> Values:
    return values - values.mean(axis=-1, keepdims=True) if values.shape[-1] else values


def _varies(values: Values, centred: Values, variance_sum: Values, total: Values) -> NDArray[np.bool_]:
    """Whether values [..., n] differ within each sample by more than rounding: [..., samples]."""
    largest = np.max(np.abs(values), axis=-1, initial=0.0, keepdims=True)
    reach = np.max(np.abs(centred), axis=-1, initial=0.0, keepdims=True)
    noise = np.maximum((RELATIVE_SPREAD * largest) ** 2, RELATIVE_VARIANCE * reach**2)
    return np.asarray(variance_sum > total * noise)


def _quotient(covariance: Values, x_var: Values, y_var: Values, defined: NDArray[np.bool_]) -> Values:
    product = np.where(defined, np.sqrt(np.abs(x_var)) * np.sqrt(np.abs(y_var)), 1.0)
    return np.where(defined, np.clip(covariance / product, -1.0, 1.0), np.nan)


METRICS: dict[str, Callable[[Values, Values, Values], Values]] = {
    "rmse": weighted_rmse,
    "mae": weighted_mae,
    "pcc": weighted_pearson,
    "scc": weighted_spearman,
}
LOWER_IS_BETTER = ("rmse", "mae")
