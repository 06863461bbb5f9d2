"""The demo world: which complexes there are, and how each is built.

A family shares folds and, up to a few exchanges, sequences; what differs between its members is the
pose, and with it the interface. One face of every fold carries Lys and Arg, so that the same chain can
show a positive or a neutral side to the RNA; one half of every RNA strand is rich in purines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copra.demo.docking import Wish, dock
from copra.demo.geometry import Floats, thousandths, unit
from copra.demo.molecules import Chain, Entry
from copra.demo.nucleic import nucleic_chains
from copra.demo.protein import build_chain, grow_backbone

# letters of the three faces of a fold, each list as often as it stands here
POSITIVE_FACE = "KRKRKRKRKRKRSNQG"
MIDDLE = "ASTNQLVGYIFHMCWLAVST"
NEGATIVE_FACE = "DEDESTNQALVIGFYH"
FAMILY_SIZES = (4, 3, 3, 2, 4, 3, 4, 3, 3, 3)  # twice
PROTEIN_CHAINS = (1, 1, 1, 2, 1, 1, 1, 2, 1, 3)  # per family, twice
PAIRED_FAMILIES = frozenset({2, 7, 11, 16})
EXCHANGED = 0.07  # of the residues of each member
LABELLED_POSES, UNLABELLED_POSES = 70, 4
UNLABELLED = 100


@dataclass
class Fold:
    """A backbone [n, 4, 3], the face each residue lies on, and the family's sequence."""

    backbone: Floats
    faces: list[str]
    sequence: str


def new_fold(length: int, rng: np.random.Generator) -> Fold:
    """A random fold with one positive, one neutral and one negative face."""
    backbone = grow_backbone(length, rng)
    trace = backbone[:, 1] - backbone[:, 1].mean(axis=0)
    height = np.round((trace * unit(rng.normal(size=3))).sum(axis=-1), 6)
    order = np.argsort(height, kind="stable")
    faces = [MIDDLE] * length
    for i in order[: round(0.3 * length)]:
        faces[int(i)] = NEGATIVE_FACE
    for i in order[length - round(0.3 * length) :]:
        faces[int(i)] = POSITIVE_FACE
    return Fold(backbone, faces, "".join(face[int(rng.integers(len(face)))] for face in faces))


def exchanged(fold: Fold, rng: np.random.Generator) -> str:
    """The fold's sequence with a few residues exchanged for others of the same face."""
    letters = list(fold.sequence)
    count = max(1, round(EXCHANGED * len(letters)))
    for i in rng.choice(len(letters), size=count, replace=False):
        face = fold.faces[int(i)]
        letters[int(i)] = face[int(rng.integers(len(face)))]
    return "".join(letters)


def number(chain: Chain) -> None:
    """Author numbers 1, 2, 3, ..."""
    for i, residue in enumerate(chain.residues):
        residue.number = i + 1


def assemble(
    proteins: list[Chain], nucleic: list[Chain], wish: Wish, rng: np.random.Generator
) -> list[Chain]:  # fmt: skip
    """Dock the protein chains one after the other; a chain that finds no room is tried again."""
    placed: list[Chain] = []
    for chain in proteins:
        for _ in range(20):
            if dock(chain, nucleic, placed, wish, rng):
                break
        else:
            raise RuntimeError(f"chain {chain.name} found no place beside the RNA after 20 tries")
        placed.append(chain)
    chains = placed + nucleic
    for chain in chains:
        chain.move(thousandths(chain.points()) / 1000)
    return chains


def release_date(rng: np.random.Generator) -> str:
    """A day between 2001 and 2023."""
    year, month, day = rng.integers([2001, 1, 1], [2024, 13, 29])
    return f"{year:04d}-{month:02d}-{day:02d}"


def identifier(prefix: str, index: int) -> str:
    """A four-character id that the PDB never gives out (it starts with 0): 0daa, 0dab, ..."""
    return f"0{prefix}{chr(97 + index // 26)}{chr(97 + index % 26)}"


def small_entry(pdb_id: str, family: str, index: int, rng: np.random.Generator) -> Entry:
    """A small complex without a label: every fourth has two protein chains, every fifth paired RNA."""
    folds = [new_fold(int(rng.integers(25, 33)), rng) for _ in range(2 if index % 4 == 3 else 1)]
    proteins = [build_chain("AB"[k], fold.sequence, fold.backbone) for k, fold in enumerate(folds)]
    nucleic = nucleic_chains(int(rng.integers(8, 11)), "paired" if index % 5 == 4 else "single", rng)
    chains = assemble(proteins, nucleic, Wish(0.0, 0.0, UNLABELLED_POSES), rng)
    for chain in chains:
        number(chain)
    resolution = round(float(rng.uniform(1.4, 3.4)), 2)
    return Entry(pdb_id, family, "", chains, "X-RAY DIFFRACTION", resolution, release_date(rng))


def unlabelled_entries(rng: np.random.Generator) -> list[Entry]:
    """The complexes without a label."""
    return [small_entry(identifier("u", i), f"U{i + 1:03d}", i, rng) for i in range(UNLABELLED)]
