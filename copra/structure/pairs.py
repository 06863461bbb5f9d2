"""Interfaces of the pre-training pairs: one protein chain and one RNA chain each, many pairs to an entry."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.progress import progress
from copra.structure.interface import Interface, cut_interface
from copra.structure.residues import Structure
from copra.structure.store import StructureStore, write_interfaces
from copra.tables import TABLES, read_table, write_table

log = logging.getLogger(__name__)


def build_pair_interfaces(pairs: Path, *, store: Path, interface_nodes: int, out: Path, decisions: Path) -> None:
    """Cut the interfaces of those pairs of PRI30k whose entry is in this store, by pair_id.

    Each entry is read once, however many pairs it has. A pair that cannot be cut is a row of `decisions` with its
    reason and stops nothing. The buried surface, which no pre-training reads, is left out.
    """
    table = read_table(pairs, "pri30k").sort_values("pair_id")
    dropped: list[dict[str, Any]] = []
    with StructureStore(store) as structures:
        here = table[table["pdb_id"].isin(structures.pdb_ids)]
        write_interfaces(_cut_all(here, structures, interface_nodes, dropped), out)
    write_table(pd.DataFrame(dropped, columns=TABLES["decisions"].schema().names), decisions, "decisions")
    counts = Counter(row["rule"] for row in dropped)
    told = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items())) or "none"
    n_cut = len(here) - len(dropped)
    log.info("interfaces: %d of %d pairs in %s; left out: %s", n_cut, len(here), store, told)


def _cut_all(
    pairs: pd.DataFrame, structures: StructureStore, interface_nodes: int, dropped: list[dict[str, Any]]
) -> Iterator[Interface]:
    """The interfaces of the pairs, one at a time; adds a decision to `dropped` for each pair that has none."""
    by_entry = pairs.groupby("pdb_id")
    for pdb_id, part in progress(by_entry, "entries with pairs", by_entry.ngroups):
        structure = structures.read(str(pdb_id))
        for row in part.itertuples():
            interface, reason, evidence = _cut(structure, row, interface_nodes)
            if interface is None:
                dropped.append(_decision(str(row.pair_id), reason, evidence))
            else:
                yield interface


def _cut(structure: Structure, row: Any, interface_nodes: int) -> tuple[Interface | None, str, str]:
    """The interface of a row of `pri30k`, or the reason and the evidence why there is none."""
    try:
        cut = cut_interface(
            structure, str(row.pair_id), [str(row.protein_chain)], [str(row.rna_chain)], interface_nodes
        )
    except InputError as error:
        return None, "chains_not_in_structure", str(error)
    if not (
        np.isfinite(cut.backbone_xyz_angstrom[cut.backbone_mask]).all() and np.isfinite(cut.centres_angstrom).all()
    ):
        return None, "coordinate_not_finite", ""
    expected = (row.protein_sha256, row.rna_sha256)
    if cut.chain_sequence_sha256 != expected:
        return None, "other_sequence", f"expected {expected}, found {cut.chain_sequence_sha256}"
    return cut, "", ""


def _decision(pair_id: str, rule: str, evidence: str) -> dict[str, Any]:
    blank = {"before": "", "after": "", "note": ""}
    return {"step": "interfaces", "subject": pair_id, "rule": rule, "verdict": "drop", "evidence": evidence, **blank}
