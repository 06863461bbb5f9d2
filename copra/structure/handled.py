"""What reading settles or leaves out, as codes with counts: the `handled` of a structure and of its `entries` row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from copra.structure.residues import UNKNOWN_TYPES
from copra.structure.sequence import Chain

# code: what is counted; a code with the count 0 is left out
HANDLED = {
    "alignment_failed": "chains with an observed residue that is not the one at its place in the full sequence",
    "altloc": "residues with alternative locations, of which one stays",
    "chain_ids_by_case": "chains whose ids differ from another chain's only by case",
    "deoxy_by_atoms": "chains told to be DNA by the absence of O2'",
    "deoxy_in_hybrid": "deoxyribonucleotides in chains that hold ribonucleotides too",
    "duplicate_atoms": "atoms left out as a second one with the name in its residue",
    "gaps": "stretches of residues without coordinates inside a chain",
    "hybrid_chains": "chains with ribo- and deoxyribonucleotides",
    "hydrogens": "hydrogen and deuterium atoms of polymers, left out",
    "insertion_codes": "residues whose number has an insertion code",
    "ligands": "residues of small molecules, ions and sugars, left out",
    "microheterogeneity": "residues left out as a second name at one place of a chain",
    "missing_backbone_atoms": "absent ones of N CA C O or P C4' C1' N9-or-N1; P of a chain's start counts too",
    "missing_residues": "residues of full sequences without coordinates",
    "models": "models after the first, left out",
    "modified": "residues that are not standard ones of proteins or nucleic acids",
    "negative_numbers": "residues with an author's number below 0",
    "observed_sequence": "chains whose full sequence is the observed one, for want of another",
    "other_polymer_chains": "chains of other polymers, left out",
    "renamed_residues": "residues with a name of a force field or of an old file",
    "reordered_chains": "chains whose residues stood in another order, or with waters or ligands among them",
    "unknown_residues": "residues whose parent is not known: X or N",
    "waters": "waters, left out",
    "zero_occupancy": "atoms with an occupancy of 0, which stay",
}


def count_features(values: Mapping[str, npt.NDArray], chains: list[Chain], handled: Counter[str]) -> None:
    """Add to `handled` what the assembled residues show; `values` are the arrays of `residues.RESIDUE_ARRAYS`."""
    hybrid = np.array([chain.molecule_type == "hybrid" for chain in chains])
    marks = {
        "modified": values["modified"],
        "unknown_residues": np.isin(values["residue_type"], UNKNOWN_TYPES),
        "deoxy_in_hybrid": values["deoxy"] & hybrid[values["chain"]],
        "hybrid_chains": hybrid,
        "insertion_codes": values["insertion_code"] != b"",
        "negative_numbers": values["auth_number"] < 0,
        "missing_backbone_atoms": ~values["backbone_mask"],
    }
    for code, mark in marks.items():
        handled[code] += int(np.count_nonzero(mark))
    for chain in chains:
        if chain.sequence_origin == "seqres":
            handled["missing_residues"] += len(chain.sequence) - len(chain.rows)
    steps = np.diff(values["chain"]) == 0
    by_index = np.array([chain.sequence_origin == "seqres" for chain in chains])[values["chain"][1:]]
    jumps = np.where(by_index, np.diff(values["polymer_index"]), np.diff(values["auth_number"]))
    handled["gaps"] += int(np.count_nonzero(steps & (jumps > 1)))
    same = Counter(chain.chain_id.lower() for chain in chains)
    handled["chain_ids_by_case"] += sum(count for count in same.values() if count > 1)
