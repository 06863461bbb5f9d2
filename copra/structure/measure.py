"""The verb that measures interfaces for the baselines: their size, distance signatures and properties, as one table."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.progress import progress
from copra.structure.interface_properties import STACKING_REACH_ANGSTROM, interface_properties, interface_size
from copra.structure.partners import find_partners
from copra.structure.residues import Structure
from copra.structure.signatures import REACH_ANGSTROM, distance_signatures
from copra.structure.store import StructureStore
from copra.structure.surface import buried_area_angstrom2
from copra.tables import TABLES, empty_table, read_table, write_table

log = logging.getLogger(__name__)


def measure_interfaces(records: Path, *, store: Path, contact_cutoff_angstrom: float, out: Path) -> None:
    """Measure the interfaces of those records whose entry is in this store (table `interface_features`).

    The sets of features are those of `measure_complex`. A record that cannot be measured (a chain is not there, or the
    molecules do not touch) has no rows and stops nothing; the log counts it and says why.
    """
    table = read_table(records, "records").sort_values("record_id")
    frames, left_out = [], []
    with StructureStore(store) as structures:
        here = table[table["pdb_id"].isin(structures.pdb_ids)]
        for row in progress(here.itertuples(), "interfaces", len(here)):
            structure = structures.read(str(row.pdb_id))
            sides = str(row.protein_chains).split(","), str(row.rna_chains).split(",")
            try:
                found = measure_complex(structure, str(row.record_id), *sides, contact_cutoff_angstrom)
            except InputError as error:
                left_out.append(str(row.record_id))
                log.warning("%s: not measured: %s", row.record_id, error)
                continue
            frames.append(_frame(str(row.record_id), found))
    write_table(pd.concat(frames) if frames else empty_table("interface_features"), out, "interface_features")
    told = f"; not measured: {', '.join(left_out)}" if left_out else ""
    log.info("interfaces: %d of %d records of %s measured%s", len(frames), len(here), store, told)


def measure_complex(
    structure: Structure,
    complex_id: str,
    protein_chains: list[str],
    rna_chains: list[str],
    contact_cutoff_angstrom: float,
) -> dict[str, dict[str, float]]:
    """The sets of features of one complex: interface_size, distance_signatures and interface_properties.

    Raises InputError when a chain is not in the structure or is not of the wanted molecule, a coordinate is not finite,
    or no two heavy atoms of protein and RNA are nearer than the cutoff.
    """
    reach = max(contact_cutoff_angstrom, REACH_ANGSTROM, STACKING_REACH_ANGSTROM)
    partners = find_partners(structure, complex_id, protein_chains, rna_chains, reach)
    if not len(partners.below(contact_cutoff_angstrom).rna):
        raise InputError(
            f"complex {complex_id}: expected heavy atoms of protein and RNA nearer than {contact_cutoff_angstrom:g} "
            "angstrom, found none"
        )
    buried = buried_area_angstrom2(structure, complex_id, protein_chains, rna_chains)
    return {
        "distance_signatures": distance_signatures(partners),
        "interface_properties": interface_properties(partners, contact_cutoff_angstrom, buried),
        "interface_size": interface_size(partners, contact_cutoff_angstrom, buried),
    }


def _frame(record_id: str, found: dict[str, dict[str, float]]) -> pd.DataFrame:
    names = [(name, feature) for name, values in found.items() for feature in values]
    value = np.array([number for values in found.values() for number in values.values()])
    assert np.isfinite(value).all(), record_id
    columns = (record_id, [name for name, _ in names], [feature for _, feature in names], value)
    return pd.DataFrame(dict(zip(TABLES["interface_features"].schema().names, columns, strict=True)))
