"""Scores of predicted mutation effects: pooled and within complexes, with intervals and the band of random predictions.

Shapes: n mutations, g complexes that count. ddG is in kcal/mol, positive = the mutant binds more weakly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from copra.evaluate.bootstrap import interval
from copra.evaluate.scores import LOWER_IS_BETTER, METRICS, Values, weighted_mean, weighted_pearson

# the correlation of two points is always 1 or -1, and that of three is the first that can be small
FEWEST_MUTATIONS = 3
FEWEST_TO_RESAMPLE = 2  # complexes; an interval over one would have no width
UNDEFINED = (float("nan"), float("nan"))
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A metric, its bootstrap interval over complexes and the band of random predictions; nan where not defined."""

    value: float
    interval: tuple[float, float]
    null: tuple[float, float]
    n_mutations: int
    n_complexes: int


@dataclass(frozen=True)
class MutationSet:
    """Mutations that are scored together, and the draws that all their scores have in common.

    `measured` [n] in kcal/mol; `complexes` [n]: the complex of each; `weights` [samples, n]: how often bootstrap
    samples of whole complexes draw it; `noise` [samples, n]: normal random numbers, from which random predictions
    and random orders are made.
    """

    measured: Values
    complexes: NDArray[np.str_]
    weights: Values
    noise: Values
    confidence: float
    _parts: dict[bytes, MutationSet] = field(default_factory=dict, repr=False, compare=False)

    def of(self, inside: Places) -> MutationSet:
        """Some of the mutations, with the same draws."""
        key = np.asarray(inside, dtype=np.int64).tobytes()
        if key not in self._parts:
            columns = (self.weights[:, inside], self.noise[:, inside])
            self._parts[key] = MutationSet(self.measured[inside], self.complexes[inside], *columns, self.confidence)
        return self._parts[key]

    @cached_property
    def n_complexes(self) -> int:
        """How many complexes the mutations are of."""
        return len(np.unique(self.complexes))

    @cached_property
    def order(self) -> Places:
        """Random orders of the mutations [samples, n]."""
        return np.argsort(self.noise, axis=1)

    @cached_property
    def large(self) -> list[Places]:
        """The mutations of each complex that has at least three, by the complexes' names."""
        groups = [np.flatnonzero(self.complexes == name) for name in np.unique(self.complexes)]
        return [group for group in groups if len(group) >= FEWEST_MUTATIONS]

    @cached_property
    def varying(self) -> list[Places]:
        """Those of `large` whose measured values differ: a correlation is defined there."""
        return [group for group in self.large if np.ptp(self.measured[group]) > 0]

    @cached_property
    def normal_correlations(self) -> dict[str, Values]:
        """What normal random numbers score within each complex [samples, g], by correlation."""
        return {metric: within(metric, self.noise, self) for metric in METRICS if metric not in LOWER_IS_BETTER}

    def counted(self, metric: str) -> list[Places]:
        """The mutations of each complex that counts for a metric."""
        return self.large if metric in LOWER_IS_BETTER else self.varying


def within(metric: str, guess: Values, mutations: MutationSet) -> Values:
    """The metric within each complex that counts [..., g], of predictions [..., n].

    A correlation with predictions that are constant within the complex counts as 0: they put no mutation before
    another. Where they are constant within every complex, nothing is defined (nan).
    """
    groups = mutations.counted(metric)
    if not groups:
        return np.full((*guess.shape[:-1], 0), np.nan)
    scores = np.stack([_plain(metric, mutations.measured[group], guess[..., group]) for group in groups], axis=-1)
    if metric in LOWER_IS_BETTER:
        return scores
    undefined = np.isnan(scores)
    return np.where(undefined & ~undefined.all(axis=-1, keepdims=True), 0.0, scores)


def constant_complexes(guess: Values, mutations: MutationSet) -> int:
    """In how many of the complexes that count for a correlation the predictions [runs, n] of some run are constant."""
    return sum(bool((np.ptp(guess[:, group], axis=1) == 0).any()) for group in mutations.varying)


def _plain(metric: str, measured: Values, guess: Values) -> Values:
    """A metric [...] of predictions [..., n]; ranks are made once for all of them."""
    weights = np.ones((1, len(measured)))
    if metric == "scc":
        return weighted_pearson(rankdata(measured), rankdata(guess, axis=-1), weights)[..., 0]
    return METRICS[metric](measured, guess, weights)[..., 0]


def values_of(metric: str, guess: Values, mutations: MutationSet, *, by_complex: bool, absolute: bool) -> Values:
    """The metric [runs] of predictions [runs, n]: pooled, or the mean over complexes (`absolute`: of its size)."""
    if not by_complex:
        return _plain(metric, mutations.measured, guess)
    told = within(metric, guess, mutations)
    if not told.shape[-1]:
        return np.full(len(guess), np.nan)
    return np.asarray((np.abs(told) if absolute else told).mean(axis=-1))


def pooled(metric: str, guess: Values, mutations: MutationSet) -> Score:
    """A metric of all mutations together, mean over runs; guess is [runs, n].

    Random predictions are the same ones dealt anew over the mutations.
    """
    value = float(_plain(metric, mutations.measured, guess).mean())
    samples = METRICS[metric](mutations.measured, guess, mutations.weights).mean(axis=0)
    null = _dealt_anew(metric, mutations.measured, guess, mutations.order)
    return _score(value, samples, null, len(mutations.measured), mutations)


def _dealt_anew(metric: str, measured: Values, guess: Values, order: Places) -> Values:
    """The metric [samples] of predictions [runs, n] in random orders; nan where they do not differ."""
    if np.ptp(guess, axis=1).max(initial=0.0) == 0:
        return np.full(len(order), np.nan)
    if metric != "scc":
        return np.asarray(_plain(metric, measured, guess[:, order]).mean(axis=0))
    ranks = rankdata(guess, axis=1)[:, order]  # ranked once: a new order does not change the ranks
    return np.asarray(_plain("pcc", rankdata(measured), ranks).mean(axis=0))


def per_complex(metric: str, guess: Values, mutations: MutationSet, *, absolute: bool) -> Score:
    """The mean over complexes of a metric within each, mean over runs; guess is [runs, n].

    `absolute`: of its size, as published. Random predictions are normal random numbers with the mean and SD of the
    predictions.
    """
    groups = mutations.counted(metric)
    told, null = within(metric, guess, mutations), _normal(metric, guess, mutations)
    if absolute:
        told, null = np.abs(told), np.abs(null)
    of_complex = told.mean(axis=0)  # [g]
    samples = weighted_mean(of_complex, mutations.weights[:, [group[0] for group in groups]])
    value = float(of_complex.mean()) if groups else float("nan")
    band = null.mean(axis=1) if groups else np.zeros(0)
    return _score(value, samples, band, sum(map(len, groups)), mutations, len(groups))


def _normal(metric: str, guess: Values, mutations: MutationSet) -> Values:
    """The metric [samples, g] of random numbers like predictions [runs, n]; no samples where these are constant."""
    if np.ptp(guess) == 0:
        return np.zeros((0, len(mutations.counted(metric))))
    if metric not in LOWER_IS_BETTER:
        return mutations.normal_correlations[metric]
    return within(metric, guess.mean() + guess.std() * mutations.noise, mutations)


def _score(
    value: float, samples: Values, null: Values, n_mutations: int, mutations: MutationSet, complexes: int | None = None
) -> Score:
    n_complexes = mutations.n_complexes if complexes is None else complexes
    if np.isnan(value):
        return Score(value, UNDEFINED, UNDEFINED, n_mutations, n_complexes)
    ends = interval(samples, mutations.confidence) if n_complexes >= FEWEST_TO_RESAMPLE else UNDEFINED
    return Score(value, ends, interval(null, mutations.confidence), n_mutations, n_complexes)


def antisymmetry(forward: Values, reverse: Values, mutations: MutationSet) -> dict[str, Score]:
    """How far predictions mutant -> wild type undo those wild type -> mutant; both are [runs, n] in kcal/mol.

    `antisymmetry_pcc`: Pearson's correlation, ideally -1, with the band of reverse predictions dealt anew;
    `antisymmetry_bias_kcal_mol`: the mean of half their sum, ideally 0. Means over runs.
    """
    n = forward.shape[1]
    pairs = list(zip(forward, reverse, strict=True))
    value = float(np.mean([_plain("pcc", a, b) for a, b in pairs]))
    samples = np.mean([weighted_pearson(a, b, mutations.weights) for a, b in pairs], axis=0)
    null = np.mean([_dealt_anew("pcc", a, b[None], mutations.order) for a, b in pairs], axis=0)
    half = (forward + reverse) / 2
    bias = weighted_mean(half, mutations.weights).mean(axis=0)
    return {
        "antisymmetry_pcc": _score(value, samples, null, n, mutations),
        # the mean does not depend on the order, so random orders have no band of it
        "antisymmetry_bias_kcal_mol": _score(float(half.mean()), bias, np.zeros(0), n, mutations),
    }
