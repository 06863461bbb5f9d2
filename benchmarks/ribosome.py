"""A made-up complex of a ribosome's size: copies of one protein-RNA complex side by side, as an mmCIF file."""

from __future__ import annotations

import gzip
import math
from itertools import product
from pathlib import Path
from typing import Any

import gemmi

ATOMS = 260_000
PROTEIN_CHAINS, RNA_CHAINS = 75, 5
GAP_ANGSTROM = 3.0  # between the boxes of neighbouring copies


def write_ribosome(source: str, proteins: list[str], rnas: list[str], out: str) -> dict[str, Any]:
    """Tile the given chains of `source` until they are `ATOMS` heavy atoms in about 80 chains; write them gzipped.

    Several copies in a row are one chain with one full sequence, so that chains are as long as a ribosome's. The
    same source gives the same bytes.
    """
    tile = _tile(source, proteins, rnas)
    copies = round(ATOMS / sum(len(part) for side in tile for part in side))
    structure = gemmi.Structure()
    structure.name = "RIBOSOME"
    model = gemmi.Model(1)
    for side, n_chains, kind in (
        (tile[0], PROTEIN_CHAINS, gemmi.PolymerType.PeptideL),
        (tile[1], RNA_CHAINS, gemmi.PolymerType.Rna),
    ):
        n_chains = min(n_chains, copies)
        for i in range(n_chains):
            first, last = i * copies // n_chains, (i + 1) * copies // n_chains
            name = f"{'P' if kind == gemmi.PolymerType.PeptideL else 'R'}{i + 1}"
            chain = gemmi.Chain(name)
            for place in _places(tile, copies)[first:last]:
                _add(chain, side, place)
            entity = gemmi.Entity(name)
            entity.entity_type, entity.polymer_type = gemmi.EntityType.Polymer, kind
            entity.full_sequence = [part.name for part in chain]
            entity.subchains = [name]
            structure.entities.append(entity)
            model.add_chain(chain)
    structure.add_model(model)
    text = structure.make_mmcif_document().as_string()
    Path(out).write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))
    return {"atoms": model.count_atom_sites(), "chains": len(model), "copies": copies, "text_bytes": len(text)}


def _tile(source: str, proteins: list[str], rnas: list[str]) -> tuple[list[gemmi.Residue], list[gemmi.Residue]]:
    """Protein and RNA residues of the source's first model, heavy atoms, one conformer."""
    structure = gemmi.read_structure(source)
    structure.setup_entities()
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    structure.merge_chain_parts()
    sides: tuple[list[gemmi.Residue], list[gemmi.Residue]] = ([], [])
    for chain in structure[0]:
        for side, names in zip(sides, (proteins, rnas), strict=True):
            if chain.name in names:
                side.extend(part.clone() for part in chain.get_polymer())
    return sides


def _places(tile: tuple[list[gemmi.Residue], list[gemmi.Residue]], copies: int) -> list[gemmi.Position]:
    """Where the copies stand: a cubic lattice of the tile's box."""
    points = [atom.pos.tolist() for side in tile for part in side for atom in part]
    pitch = [max(axis) - min(axis) + GAP_ANGSTROM for axis in zip(*points, strict=True)]
    edge = math.ceil(copies ** (1 / 3))
    cells = list(product(range(edge), repeat=3))[:copies]
    return [gemmi.Position(*(i * step for i, step in zip(cell, pitch, strict=True))) for cell in cells]


def _add(chain: gemmi.Chain, residues: list[gemmi.Residue], place: gemmi.Position) -> None:
    """Append the residues, moved by `place` and numbered on."""
    for residue in residues:
        added = chain.add_residue(residue)
        added.seqid = gemmi.SeqId(len(chain), " ")
        added.label_seq = len(chain)
        added.subchain = added.entity_id = chain.name
        added.entity_type = gemmi.EntityType.Polymer
        added.het_flag = "A"
        for atom in added:
            atom.pos = atom.pos + place
