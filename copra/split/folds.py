"""Folds: whole clusters dealt into parts of like size and like labels."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.split.families import write_family
from copra.tables import read_table

log = logging.getLogger(__name__)


def assign_folds(clusters: Path, *, records: Path, folds: int, balance: str, seed: int, out: Path, ids: Path) -> None:
    """Deal whole clusters into `folds` folds of like size and like labels.

    `balance` is `mean`, or `mean_and_spread` for a like standard deviation of the labels too. Writes the table
    `folds` to `out` and the same as plain text to `ids`. Raises InputError when there are fewer clusters than
    folds, the two tables name different records or `balance` is neither.
    """
    table = read_table(clusters, "clusters").sort_values("record_id", ignore_index=True)
    labels = read_table(records, "records").set_index("record_id")["dg_kcal_mol"]
    strangers = sorted(set(table["record_id"]) ^ set(labels.index))
    if strangers:
        raise InputError(f"{clusters} and {records} name different records; the first at fault: {strangers[:3]}")
    table["dg"] = labels.loc[table["record_id"]].to_numpy()
    sizes = table.groupby("cluster", sort=True).size()
    if len(sizes) < folds:
        raise InputError(
            f"{clusters}: expected at least {folds} clusters for {folds} folds, found {len(sizes)} "
            f"({len(table)} records); lower split.folds or raise the family's identity"
        )
    dealt = deal(sizes.to_numpy(), _surpluses(table, balance), folds, np.random.default_rng(seed))
    fold = dict(zip(sizes.index, dealt.tolist(), strict=True))
    table["fold"] = [fold[name] for name in table["cluster"]]
    write_family(table[["record_id", "cluster", "fold"]], {}, out, ids)
    summary = table.groupby("fold")["dg"].agg(["size", "mean"])
    log.info("folds (records, mean dG): %s", [(int(n), round(float(m), 2)) for n, m in summary.to_numpy()])


def _surpluses(table: pd.DataFrame, balance: str) -> np.ndarray:
    """What shall be even over the folds, summed over each cluster in the order of the names: [clusters, kinds]."""
    if balance not in ("mean", "mean_and_spread"):
        raise InputError(f"balance: expected mean or mean_and_spread, found {balance!r}")
    mean, spread = table["dg"].mean(), float(table["dg"].std(ddof=0)) or 1.0
    grouped = table.groupby("cluster", sort=True)["dg"]
    kinds = [grouped.apply(lambda dg: float((dg - mean).sum() / spread))]
    if balance == "mean_and_spread":
        kinds.append(grouped.apply(lambda dg: float((((dg - mean) / spread) ** 2 - 1).sum())))
    return np.column_stack([kind.to_numpy() for kind in kinds])


def deal(sizes: np.ndarray, surpluses: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    """Fold of each cluster [clusters], the largest cluster first, ties in random order.

    `sizes` [clusters] counts records; `surpluses` [clusters, kinds] are a cluster's sums of what shall be even:
    its labels as deviations from the mean of all, in standard deviations, and, where the spread counts, the
    excess of their squares over 1. A cluster goes where the sum over folds of records^2 + surpluses^2 grows
    least, among the folds that it does not fill beyond an equal share.
    """
    shuffled = generator.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    share = -(-int(sizes.sum()) // folds)
    count, balance = np.zeros(folds), np.zeros((folds, surpluses.shape[1]))
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for position, cluster in enumerate(order):
        size, extra = sizes[cluster], surpluses[cluster]
        growth = 2 * count * size + (2 * balance * extra).sum(axis=1)
        allowed = count + size <= share
        if len(order) - position <= (count == 0).sum():
            allowed = count == 0  # each of the clusters left is needed to fill an empty fold
        elif not allowed.any():
            allowed = count == count.min()
        fold = int(np.argmin(np.where(allowed, growth, np.inf)))
        count[fold] += size
        balance[fold] += extra
        fold_of[cluster] = fold
    return fold_of
