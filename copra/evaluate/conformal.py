"""Split-conformal intervals: how wide they must be, and how often they hold the measured dG of unseen clusters.

The interval of a record in one fold comes from the residuals of the records of the other folds, each predicted by a
model that had not seen it (Vovk et al. 2005, Algorithmic Learning in a Random World; Lei et al. 2018,
doi 10.1080/01621459.2017.1307116; residuals from several folds as in Vovk 2015, doi 10.1007/s10472-013-9368-4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from copra.config_evaluate import Evaluate
from copra.evaluate.bootstrap import interval, number
from copra.evaluate.scores import Values, weighted_mean
from copra.evaluate.subsets import Subset

CONSTANT, SCALED = "constant", "scaled_by_ensemble_spread"
NONE: dict[str, Any] = {
    "coverage": None, "ci_low": None, "ci_high": None, "mean_width_kcal_mol": None, "status": "", "note": ""
}  # fmt: skip


def conformal_quantile(scores: Values, coverage: float) -> float:
    """The score that a new, exchangeable one exceeds with a chance of at most 1 - coverage.

    It is the ceil((n + 1) coverage)-th smallest of n; infinity where there are too few.
    """
    # coverage is a decimal fraction: (9 + 1) * 0.9 must count as 9, not as 9.000000000000002
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else float("inf")


def half_widths(
    residuals: Values, spread: Values | None, folds: NDArray[Any], clusters: NDArray[Any], coverage: float
) -> Values:
    """Half the width [n] of each record's interval, in the unit of the residuals (absolute, [n]).

    A fold is calibrated on the records of the other folds whose cluster does not stand in it too. With `spread`
    [n], the disagreement of the seeds, the width follows it: residuals are divided by the spread plus the mean spread
    of the records calibrated on, so that seeds that agree by chance promise nothing. Infinity where there are too
    few records, nan where all seeds agree.
    """
    widths = np.full(len(residuals), np.inf)
    for fold in np.unique(folds):
        here = folds == fold
        others = ~here & ~np.isin(clusters, clusters[here])
        scale = np.ones(len(residuals))
        if spread is not None:
            floor = spread[others].mean() if others.any() else 0.0
            scale = spread + floor if floor > 0 else np.full(len(residuals), np.nan)
        widths[here] = conformal_quantile(residuals[others] / scale[others], coverage) * scale[here]
    return widths


def coverage_rows(
    guess: Values | None, test: pd.DataFrame, subsets: list[Subset], draws: Values, settings: Evaluate
) -> list[dict[str, Any]]:
    """Rows of the table `intervals` (without table, family and experiment) of one experiment.

    `guess` [seeds, n] are its predictions of the records `test`, None where it has none; the ensemble over seeds is
    what the intervals are around. The interval of a coverage comes from the bootstrap's weights `draws` [samples, n]
    of whole clusters, with the widths as they are.
    """
    methods = [CONSTANT, *([SCALED] if len(settings.seeds) > 1 else [])]
    rows = []
    for method in methods:
        for coverage in settings.coverages:
            told = {"method": method, "nominal_coverage": coverage}
            if guess is None:
                rows += [told | NONE | subset.counts for subset in subsets]
                continue
            residuals = np.abs(guess.mean(axis=0) - test["dg_kcal_mol"].to_numpy())
            spread = guess.std(axis=0, ddof=1) if method == SCALED else None
            widths = half_widths(residuals, spread, test["fold"].to_numpy(), test["cluster"].to_numpy(), coverage)
            rows += [told | _row(residuals, widths, subset, draws, settings.confidence) for subset in subsets]
    return rows


def _row(residuals: Values, widths: Values, subset: Subset, draws: Values, confidence: float) -> dict[str, Any]:
    inside = subset.inside
    cause = _impossible(widths)
    if cause:
        return NONE | subset.counts | {"status": "skipped", "note": cause}
    held = (residuals <= widths).astype(float)[inside]
    low, high = interval(weighted_mean(held, draws[:, inside]), confidence)
    width = 2 * float(widths[inside].mean())
    numbers = {"coverage": float(held.mean()), "ci_low": low, "ci_high": high, "mean_width_kcal_mol": width}
    said = {key: number(value) for key, value in numbers.items()}
    return said | subset.counts | {"status": "ok", "note": subset.note}


def _impossible(widths: Values) -> str:
    if np.isnan(widths).any():
        return "all seeds say the same: there is no spread to scale by"
    return "too few records in the other folds to calibrate on" if np.isinf(widths).any() else ""
