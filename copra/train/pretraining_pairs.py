"""Which pairs of PRI30k are pre-trained on and which are held out."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from copra.errors import CopraError, InputError
from copra.split.cd_hit import cluster_sequences
from copra.split.clusters import name_clusters
from copra.split.purge import sequences_of_pairs
from copra.structure.store import interface_ids
from copra.tables import read_table

log = logging.getLogger(__name__)

TRAINING, HELD_OUT = "training", "held_out"


def usable_pairs(
    pri30k: Path, kept: Path | None, interfaces: list[Path], max_pairs: int | None, generator: np.random.Generator
) -> pd.DataFrame:
    """The rows of the table `pri30k` that pre-training may see, sorted by pair_id.

    `kept` lists the pairs that are no relatives of a test fold, one a line; None is all. A pair without interface
    cannot be learned from: it is counted and named in the log. `max_pairs` draws whole entries in random order as
    long as they fit; None is all. Raises InputError where nothing is left.
    """
    pairs = read_table(pri30k, "pri30k").sort_values("pair_id", ignore_index=True)
    n_all = len(pairs)
    if kept is not None:
        listed = kept.read_text(encoding="utf-8")
        if listed and not listed.endswith("\n"):  # a part of an id may be another one's
            raise InputError(f"{kept}: cut off: the last line, '{listed.splitlines()[-1]}', has no end")
        allowed = set(listed.split("\n")) - {""}
        unknown = sorted(allowed - set(pairs["pair_id"]))
        if unknown:
            raise InputError(f"{kept}: {len(unknown)} pairs are not in {pri30k}: {unknown[:5]}")
        pairs = pairs[pairs["pair_id"].isin(allowed)]
    purged = n_all - len(pairs)
    cut = set(interface_ids(interfaces))
    without = pairs.loc[~pairs["pair_id"].isin(cut), "pair_id"]
    if len(without):
        log.warning("%d pairs have no interface and are left out: %s", len(without), ", ".join(without))
    pairs = pairs[pairs["pair_id"].isin(cut)]
    n_cut = len(pairs)
    if max_pairs is not None:
        pairs = pairs[pairs["pdb_id"].isin(draw_entries(pairs["pdb_id"], max_pairs, generator))]
    log.info(
        "%d pairs of PRI30k: %d purged, %d without interface, %d not drawn, %d used",
        n_all, purged, len(without), n_cut - len(pairs), len(pairs),
    )  # fmt: skip
    if not len(pairs):
        raise InputError(f"{pri30k}: no pair is left to pre-train on")
    return pairs.reset_index(drop=True)


def draw_entries(pdb_ids: pd.Series, max_pairs: int, generator: np.random.Generator) -> set[str]:
    """Whole entries, drawn in random order as long as their pairs fit into `max_pairs`; one at least."""
    size = pdb_ids.value_counts().sort_index()
    drawn: set[str] = set()
    total = 0
    for i in generator.permutation(len(size)):
        if not drawn or total + size.iloc[i] <= max_pairs:
            drawn.add(str(size.index[i]))
            total += int(size.iloc[i])
    return drawn


def protein_clusters(pairs: pd.DataFrame, chains: Path, identity: float, threads: int) -> npt.NDArray[np.str_]:
    """The cluster of each pair's protein by CD-HIT at `identity`, in the order of the pairs."""
    known = sequences_of_pairs(pairs, read_table(chains, "chains"), chains)
    name = name_clusters(cluster_sequences(known["protein"], identity, threads))
    return np.array([name[key] for key in pairs["protein_sha256"]], dtype=str)


def hold_out(clusters: npt.NDArray[np.str_], fraction: float, generator: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which pairs are held out, bool: all pairs of `fraction` of the clusters (one at least), drawn at random.

    Raises InputError where there are fewer than two clusters.
    """
    names = np.unique(clusters)
    if len(names) < 2:
        raise InputError(f"{len(names)} cluster of proteins among the pre-training pairs; holding one out needs two")
    count = min(max(1, round(fraction * len(names))), len(names) - 1)
    return np.isin(clusters, generator.permutation(names)[:count])


def require_purged(used: pd.Series, kept: Path | None) -> None:
    """Raise CopraError where a pair is used that the purge of a test fold took out."""
    if kept is None:
        return
    leaked = sorted(set(used) - set(kept.read_text(encoding="utf-8").split("\n")))
    if leaked:
        raise CopraError(f"{kept}: {len(leaked)} pairs would be used that are not in this list: {leaked[:5]}")


def pairs_frame(pairs: pd.DataFrame, clusters: npt.NDArray[np.str_], held: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Rows of the table `pretraining_pairs`."""
    part = np.where(held, HELD_OUT, TRAINING)
    return pd.DataFrame({"pair_id": pairs["pair_id"], "cluster": clusters, "part": part})
