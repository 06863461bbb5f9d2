"""Bootstrap over clusters of records: the same samples for every experiment, so that differences are paired."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from copra.evaluate.scores import METRICS, Values

Mask = NDArray[np.bool_]


def bootstrap_weights(clusters: NDArray[Any], samples: int, generator: np.random.Generator) -> Values:
    """How often each record [n] is drawn in each of `samples` bootstrap samples of whole clusters: [samples, n]."""
    names, member = np.unique(clusters, return_inverse=True)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=samples)
    return drawn[:, member].astype(np.float64)


def interval(samples: Values, confidence: float) -> tuple[float, float]:
    """The percentile interval of bootstrap `samples`; nan when fewer than half of them are defined."""
    defined = samples[~np.isnan(samples)]
    if len(defined) < max(len(samples) / 2, 1):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def mean_scores(
    metric: str, measured: Values, guess: Values, groups: list[Mask], weights: Values, runs: Values | None = None
) -> Values:
    """A metric [experiments, samples] of predictions [experiments, runs, n] under weights [samples, n].

    It is the mean over the groups of records (masks [n]), then over the runs of an experiment (its seeds), which
    `runs` [samples, runs] weighs where it is given. On the data themselves (one sample) a group where the metric is
    not defined leaves the mean undefined; a bootstrap sample passes over groups that it emptied.
    """
    scores = np.stack(
        [METRICS[metric](measured[inside], guess[..., inside], weights[:, inside]) for inside in groups], axis=2
    )  # [experiments, runs, groups, samples]
    if weights.shape[0] == 1:
        return np.asarray(scores.mean(axis=(1, 2)))
    defined = ~np.isnan(scores)
    count = defined.sum(axis=2)
    per_run = np.where(defined, scores, 0.0).sum(axis=2) / np.maximum(count, 1)
    mean = per_run.mean(axis=1) if runs is None else np.einsum("ers,sr->es", per_run, runs) / runs.sum(axis=1)
    return np.where((count > 0).all(axis=1), mean, np.nan)


def number(value: float) -> float | None:
    """A finite number as it goes into a table; None for nan and infinity."""
    return float(value) if np.isfinite(value) else None
