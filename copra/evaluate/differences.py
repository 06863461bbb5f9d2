"""Paired differences between experiments on the same bootstrap samples, corrected for how many are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from copra.evaluate.bootstrap import interval, number
from copra.evaluate.scores import LOWER_IS_BETTER, Values

POWER = 0.8  # a difference of the size of the resolution is found in four of five such sets of records


@dataclass(frozen=True)
class Scores:
    """One metric of several experiments: on the data [experiments], and on bootstrap samples [experiments, samples]."""

    value: Values
    samples: Values


@dataclass(frozen=True)
class Difference:
    """A paired difference of a metric with its percentile interval, standard error and p-value; nan = not defined."""

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float


def paired_difference(scores: Scores, first: int, second: int, confidence: float) -> Difference:
    """First minus second experiment, each bootstrap sample taken for both.

    The p-value is two-sided for no difference, from the normal distribution with the bootstrap's standard error:
    the share of samples beyond zero is a multiple of 1/samples, too coarse to survive Holm's correction over many
    rows (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 and 16).
    """
    value = float(scores.value[first] - scores.value[second])
    samples = scores.samples[first] - scores.samples[second]
    low, high = interval(samples, confidence)
    if math.isnan(low) or math.isnan(value):
        return Difference(float("nan"), float("nan"), float("nan"), float("nan"), float("nan"))
    error = float(np.std(samples[~np.isnan(samples)], ddof=1))
    if error == 0:
        return Difference(value, low, high, error, 1.0 if value == 0 else 0.0)
    return Difference(value, low, high, error, math.erfc(abs(value) / error / math.sqrt(2)))


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction (1979): p-values that hold for all rows together; nan is passed over."""
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    corrected = [float("nan")] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[i] = highest
    return corrected


def resolution(standard_error: float, confidence: float) -> float:
    """The smallest difference found with 80 % power at the level 1 - confidence: 2.8 standard errors at 95 %."""
    normal = NormalDist()
    return (normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(POWER)) * standard_error


def difference_rows(
    metric: str, scores: Scores, statuses: dict[str, str], references: list[str], confidence: float
) -> list[dict[str, Any]]:
    """Rows of the table `differences` (without table, family and subset) for one metric of one subset.

    `statuses` maps every experiment, in order, to its status; `scores` holds those whose status is ok, in that
    order. Holm's correction is over all rows given here.
    """
    place = {name: i for i, name in enumerate(name for name, status in statuses.items() if status == "ok")}
    pairs = [(name, reference) for reference in references for name in statuses if name != reference]
    none = Difference(*[float("nan")] * 5)
    found = [
        paired_difference(scores, place[a], place[b], confidence) if a in place and b in place else none
        for a, b in pairs
    ]
    corrected = holm([difference.p_value for difference in found])
    rows = []
    for (name, reference), difference, p_holm in zip(pairs, found, corrected, strict=True):
        told = resolution(difference.standard_error, confidence)
        missing = [f"{side} {statuses[side]}" for side in (name, reference) if statuses[side] != "ok"]
        numbers = {
            "difference": difference.value, "ci_low": difference.low, "ci_high": difference.high,
            "p_value": difference.p_value, "p_holm": p_holm, "resolution": told,
        }  # fmt: skip
        row = {key: number(value) for key, value in numbers.items()}
        words = f"not compared: {', '.join(missing)}" if missing else verdict(metric, difference, p_holm, confidence)
        rows.append(row | {"experiment": name, "reference": reference, "metric": metric, "verdict": words})
    return rows


def verdict(metric: str, difference: Difference, p_holm: float, confidence: float) -> str:
    """better, worse or not told apart, of the first experiment; the last with the resolution of these records."""
    if math.isnan(p_holm):
        return "not compared: the metric is not defined"
    if difference.low <= 0 <= difference.high or p_holm >= 1 - confidence:
        unit = " kcal/mol" if metric in LOWER_IS_BETTER else ""
        return f"not told apart (resolution {resolution(difference.standard_error, confidence):.2f}{unit})"
    return "better" if (difference.value < 0) == (metric in LOWER_IS_BETTER) else "worse"
