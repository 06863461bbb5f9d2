"""The distance map that a search tree replaces: every atom of every residue against every other, as one tensor.

The published code works so: residues padded to 41 atoms, an L x L x 41 x 41 tensor of distances, the least of each
residue pair, and from that each residue's distance to the partner molecule.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import torch
from structure_jobs import cut, pdb_id_of

from copra.structure.interface import chain_contacts
from copra.structure.reader import read_structure
from copra.structure.residues import Structure

ATOMS_PER_RESIDUE = 41
REPEATS = 5  # our search takes milliseconds


def least_distances(xyz: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Least atom distance of each residue pair [L, L] from padded atoms [L, A, 3] and their mask [L, A]."""
    distance = torch.linalg.vector_norm(xyz[:, None, :, None] - xyz[None, :, None, :], dim=-1)  # [L, L, A, A]
    distance.masked_fill_(~(present[:, None, :, None] & present[None, :, None, :]), torch.inf)
    return distance.amin(dim=(2, 3))


def _padded(structure: Structure, chains: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    wanted = [i for i, name in enumerate(structure.chain_ids) if name in chains]
    residues = np.flatnonzero(np.isin(structure.arrays["chain"], wanted))
    xyz = torch.zeros(len(residues), ATOMS_PER_RESIDUE, 3)
    present = torch.zeros(len(residues), ATOMS_PER_RESIDUE, dtype=torch.bool)
    for row, residue in enumerate(residues):
        start, stop = structure.atom_offsets[residue], structure.atom_offsets[residue + 1]
        stop = min(stop, start + ATOMS_PER_RESIDUE)
        xyz[row, : stop - start] = torch.from_numpy(structure.arrays["atom_xyz_angstrom"][start:stop])
        present[row, : stop - start] = True
    return xyz, present


def compare(
    path: str, proteins: list[str], rnas: list[str], contact_cutoff_angstrom: float, interface_nodes: int
) -> dict[str, float]:
    """Seconds of the map and of our contacts and interface for one complex, and how far their distances differ."""
    structure = read_structure(Path(path), pdb_id_of(path))
    (xyz, present), (rna_xyz, rna_present) = (_padded(structure, chains) for chains in (proteins, rnas))
    ours = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        contacts = chain_contacts(structure, contact_cutoff_angstrom)
        interface = cut(structure, contacts, interface_nodes)
        ours.append(time.perf_counter() - started)
    n_proteins = len(xyz)
    started = time.perf_counter()
    distance = least_distances(torch.cat([xyz, rna_xyz]), torch.cat([present, rna_present]))
    across = distance[:n_proteins, n_proteins:]
    nearest = torch.cat([across.amin(dim=1), across.amin(dim=0)])
    map_s = time.perf_counter() - started
    kept = np.sort(nearest.numpy())[: len(interface.molecule)]
    difference = np.abs(kept - np.sort(interface.partner_distance_angstrom)).max()
    return {"map_s": map_s, "ours_s": statistics.median(ours), "difference_angstrom": float(difference)}
