"""How far the sources disagree about the same complex, and what that allows a perfect model to reach.

The difference of two independent measurements of one complex has twice the variance of one measurement's error, so
the error of a label is SD(difference) / sqrt(2). A model that knew every true dG would correlate with labels of that
error by sqrt(1 - error variance / label variance): the noise ceiling. Curated tables copy from each other, so the
error is a lower and the ceiling an upper bound; `copies_left_out` gives both once more from unequal values alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from copra.pra310.rules import QUANTITY_ORDER, Value
from copra.tables import empty_table

EVERY = "every source"
EQUAL_BELOW_KCAL_MOL = 1e-3
FEWEST_SHARED = 5


def label_noise(values: list[list[Value]], label_dg_298k_kcal_mol: pd.Series) -> pd.DataFrame:
    """The table `label_noise` from the values of each candidate and all labels (dG at 298.15 K in kcal/mol).

    Only Kd and dG stated with "=" count, one value (the mean dG at 298.15 K) per candidate and source. Pairs of sources
    that share fewer than five complexes are part of the last rows (`every source`) only.
    """
    pairs = pd.DataFrame(
        [row for of_candidate in values for row in _differences(of_candidate)],
        columns=["source", "other_source", "difference"],
    )
    spread = float(label_dg_298k_kcal_mol.std())
    rows = [
        _row(str(source), str(other), part["difference"], spread, False)
        for (source, other), part in pairs.groupby(["source", "other_source"])
        if len(part) >= FEWEST_SHARED
    ]
    unequal = pairs.loc[pairs["difference"].abs() > EQUAL_BELOW_KCAL_MOL, "difference"]
    for differences, copies_left_out in ((pairs["difference"], False), (unequal, True)):
        if len(differences) >= FEWEST_SHARED:
            rows.append(_row(EVERY, EVERY, differences, spread, copies_left_out))
    return pd.DataFrame(rows) if rows else empty_table("label_noise")


def _differences(values: list[Value]) -> Iterator[tuple[str, str, float]]:
    exact = [v for v in values if v.relation == "=" and QUANTITY_ORDER[v.quantity] == 0]
    mean = {
        source: float(np.mean([v.dg_298k_kcal_mol for v in exact if v.source == source]))
        for source in sorted({v.source for v in exact})
    }
    for source, other in combinations(mean, 2):
        yield source, other, mean[source] - mean[other]


def _row(source: str, other: str, difference: pd.Series, spread: float, copies_left_out: bool) -> dict[str, object]:
    error_sd = float(np.sqrt(np.mean(np.square(difference)) / 2))
    explained = 1 - (error_sd / spread) ** 2 if spread > 0 else 0.0
    return {
        "source": source, "other_source": other, "copies_left_out": copies_left_out, "n_complexes": len(difference),
        "mean_difference_kcal_mol": float(difference.mean()), "sd_difference_kcal_mol": float(difference.std()),
        "label_error_sd_kcal_mol": error_sd, "label_sd_kcal_mol": spread,
        "ceiling_pcc": math.sqrt(max(0.0, explained)),
    }  # fmt: skip
