"""The verb that measures where mutations lie in their complexes, for the baselines, as one table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.mutation.environment import environment_signature
from copra.mutation.exchange import Change, read_changes
from copra.mutation.surroundings import Surroundings, surroundings
from copra.progress import progress
from copra.structure.distances import ChainAtoms, chain_atoms
from copra.structure.interface import find_chains
from copra.structure.residues import PROTEIN, RNA, Structure
from copra.structure.store import StructureStore
from copra.tables import TABLES, empty_table, read_table, write_table

log = logging.getLogger(__name__)


def measure_mutations(records: Path, *, store: Path, out: Path) -> None:
    """Measure the protein mutations whose entry is in this store (table `mutation_features`).

    `records` is the table `mutation_records`; the sets of features are those of `measure_mutation`. A mutation that
    cannot be measured (it is one of RNA, or its residue has no coordinates) has no rows and stops nothing; the log
    counts it and says why.
    """
    table = read_table(records, "mutation_records").sort_values("mutation_id")
    frames, left_out = [], []
    with StructureStore(store) as structures:
        here = table[table["pdb_id"].isin(structures.pdb_ids)]
        for pdb_id, rows in progress(here.groupby("pdb_id"), "mutations", here["pdb_id"].nunique()):
            structure = structures.read(str(pdb_id))
            for row in rows.itertuples():
                try:
                    found = measure_mutation(
                        structure, str(row.complex_id), str(row.mutated_chains).split(","), str(row.molecule_type),
                        read_changes(str(row.mutation), str(row.polymer_indices)),
                    )  # fmt: skip
                except InputError as error:
                    left_out.append(str(row.mutation_id))
                    log.warning("%s: not measured: %s", row.mutation_id, error)
                    continue
                frames.append(_frame(str(row.mutation_id), found))
    write_table(pd.concat(frames) if frames else empty_table("mutation_features"), out, "mutation_features")
    told = f"; not measured: {', '.join(left_out)}" if left_out else ""
    log.info("mutations: %d of %d of %s measured%s", len(frames), len(here), store, told)


def measure_mutation(
    structure: Structure, complex_id: str, mutated_chains: list[str], molecule_type: str, changes: Sequence[Change]
) -> dict[str, dict[str, float]]:
    """The sets of features of one mutation of a protein: surroundings and environment_signature, of the wild type.

    `complex_id` is pdb:proteins:rnas with comma-joined chains. Of several mutated chains each exchange is described by
    the copy of the residue that is nearest to the RNA. Over several exchanges areas and counts are summed, and of the
    distances the least is taken. Raises InputError for a mutation of RNA, a chain that is not there, and a residue
    without coordinates in every mutated chain.
    """
    if molecule_type != "protein":
        raise InputError(f"complex {complex_id}: a mutation of {molecule_type}; these features are of amino acids")
    _, protein_chains, rna_chains = complex_id.split(":")
    protein = chain_atoms(structure, find_chains(structure, complex_id, protein_chains.split(","), PROTEIN))
    rna = chain_atoms(structure, find_chains(structure, complex_id, rna_chains.split(","), RNA))
    chains = find_chains(structure, complex_id, mutated_chains, PROTEIN)
    places, signatures = [], []
    for change in changes:
        residue, place = _nearest_copy(structure, complex_id, chains, change, protein, rna)
        places.append(place)
        signatures.append(environment_signature(structure, residue, protein, rna))
    return {
        "environment_signature": {name: sum(each[name] for each in signatures) for name in signatures[0]},
        "surroundings": {
            "partner_distance_angstrom": min(place.partner_distance_angstrom for place in places),
            "relative_area_complex": sum(place.relative_area_complex for place in places),
            "relative_area_unbound": sum(place.relative_area_unbound for place in places),
        },
    }


def _nearest_copy(
    structure: Structure, complex_id: str, chains: list[int], change: Change, protein: ChainAtoms, rna: ChainAtoms
) -> tuple[int, Surroundings]:
    """The mutated residue of the copy that is nearest to the RNA, the first of equals, and where it stands."""
    found: list[tuple[int, Surroundings]] = []
    for chain in chains:
        part = structure.chain_residues(chain)
        here = np.flatnonzero(structure.arrays["polymer_index"][part] == change.polymer_index)
        for place in here[:1]:
            residue = part.start + int(place)
            found.append((residue, surroundings(structure, residue, protein, rna)))
    if not found:
        names = [structure.chain_ids[chain] for chain in chains]
        raise InputError(f"complex {complex_id}: residue {change.polymer_index} of chains {names} has no coordinates")
    return min(found, key=lambda copy: copy[1].partner_distance_angstrom)


def _frame(mutation_id: str, found: dict[str, dict[str, float]]) -> pd.DataFrame:
    names = [(name, feature) for name, values in found.items() for feature in values]
    value = np.array([number for values in found.values() for number in values.values()])
    assert np.isfinite(value).all(), mutation_id
    columns = (mutation_id, [name for name, _ in names], [feature for _, feature in names], value)
    return pd.DataFrame(dict(zip(TABLES["mutation_features"].schema().names, columns, strict=True)))
