"""The interface of a case as people see it: residues by their names in the file, and which of them touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from copra.predict.result import ResidueView
from copra.structure.distances import chain_atoms, near_pairs
from copra.structure.interface import Interface
from copra.structure.residues import LETTERS, PROTEIN

if TYPE_CHECKING:  # torch takes seconds to load
    from copra.predict.engine import Case
    from copra.train.samples import Sample


def seen_nodes(interface: Interface, sample: Sample) -> tuple[list[int], list[int]]:
    """The nodes of the interface that the sample holds, in their order, and the row of each in the sample."""
    places = zip(sample.chain.tolist(), sample.polymer_index.tolist(), strict=True)
    row_of = {place: row for row, place in enumerate(places)}
    nodes, rows = [], []
    for node, place in enumerate(zip(interface.chain.tolist(), interface.polymer_index.tolist(), strict=True)):
        if place in row_of:
            nodes.append(node)
            rows.append(row_of[place])
    return nodes, rows


def residue_views(
    case: Case, nodes: list[int], contribution_kcal_mol: npt.NDArray[np.float64]
) -> tuple[ResidueView, ...]:
    """These nodes of the interface, with a contribution each [nodes]."""
    interface, arrays = case.interface, case.structure.arrays
    views = []
    for node, residue, value in zip(nodes, _residues(case, nodes), contribution_kcal_mol.tolist(), strict=True):
        views.append(
            ResidueView(
                chain=interface.chain_ids[interface.chain[node]],
                number=int(interface.auth_number[node]),
                insertion_code=interface.insertion_code[node].decode(),
                name=arrays["residue_name"][residue].decode(),
                letter=LETTERS[interface.residue_type[node]].decode(),
                is_protein=bool(interface.molecule[node] == PROTEIN),
                partner_distance_angstrom=float(interface.partner_distance_angstrom[node]),
                contribution_kcal_mol=value,
            )
        )
    return tuple(views)


def contacts(case: Case, nodes: list[int], cutoff_angstrom: float) -> tuple[tuple[int, int, float], ...]:
    """Pairs of a protein residue and a nucleotide, by their place in `nodes`, and their least heavy-atom distance.

    Where it is below the cutoff; in the order of the nodes.
    """
    index = {name: i for i, name in enumerate(case.structure.chain_ids)}
    sides = (case.chosen.protein_chains, case.chosen.rna_chains)
    protein, rna = (chain_atoms(case.structure, [index[name] for name in names]) for names in sides)
    place = {residue: i for i, residue in enumerate(_residues(case, nodes))}
    least: dict[tuple[int, int], float] = {}
    found = near_pairs(protein.xyz, rna.xyz, cutoff_angstrom)
    for i, j, distance in zip(*(values.tolist() for values in found), strict=True):
        pair = place.get(int(protein.residue[i]), -1), place.get(int(rna.residue[j]), -1)
        if distance < cutoff_angstrom and min(pair) >= 0:
            least[pair] = min(distance, least.get(pair, distance))
    return tuple((p, n, least[p, n]) for p, n in sorted(least))


def _residues(case: Case, nodes: list[int]) -> list[int]:
    """The residue of the structure that each node is."""
    structure, interface = case.structure, case.interface
    found: dict[tuple[int, int], int] = {}
    for chain, name in enumerate(interface.chain_ids):
        part = structure.chain_residues(structure.chain_ids.index(name))
        for residue in range(part.start, part.stop):
            found.setdefault((chain, int(structure.arrays["polymer_index"][residue])), residue)
    return [found[int(interface.chain[node]), int(interface.polymer_index[node])] for node in nodes]
