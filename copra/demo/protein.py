"""Protein chains: a compact backbone of helices, strands and loops with ideal side chains.

Bond lengths and angles of the backbone are the usual ideal values (Engh and Huber 1991, rounded); the
side chains are PeptideBuilder's, set on the backbone in the rotamer that keeps the most distance.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import PeptideBuilder
from PeptideBuilder import Geometry

from copra.demo.geometry import (
    Floats,
    about_axis,
    frame,
    place_atom,
    squared_distances_float,
    to_global,
    to_local,
    unit,
)
from copra.demo.molecules import PROTEIN_NAMES, Chain, Residue

HELIX, STRAND = (-62.0, -42.0), (-120.0, 130.0)
LOOPS = ((-70.0, 140.0), (-90.0, 0.0), (-80.0, 80.0), (60.0, 40.0), (-65.0, -30.0), (-140.0, 160.0))
TRIALS = 192  # backbones grown side by side; the most compact one without a clash is kept
TRACE_GAP_ANGSTROM = 6.2  # between CA atoms four or more residues apart; leaves room for side chains
NOT_TURNED = "GAP"  # residues without a side chain that turns about CA-CB


@cache
def side_chain(letter: str) -> tuple[tuple[str, ...], Floats]:
    """Atom names and positions [n, 3] of the side chain, in the frame CA -> C, N."""
    residue = PeptideBuilder.initialize_res(Geometry.geometry(letter))
    atoms = {atom.id: np.array([float(x) for x in atom.coord]) for atom in residue.get_atoms()}
    names = tuple(name for name in atoms if name not in {"N", "CA", "C", "O"})
    if not names:
        return (), np.zeros((0, 3))
    axes = frame(atoms["CA"], atoms["C"], atoms["N"])
    return names, to_local(np.stack([atoms[name] for name in names]), atoms["CA"], axes)


@cache
def rotamers(letter: str) -> tuple[Floats, ...]:
    """The side chain's positions in the frame of its residue, turned about CA-CB in steps of 30 degrees."""
    names, local = side_chain(letter)
    if letter in NOT_TURNED or not names:
        return (local,)
    axis = unit(local[names.index("CB")])
    return tuple(about_axis(local, np.zeros(3), axis, 30.0 * step) for step in range(12))


def _segments(length: int, rng: np.random.Generator) -> Floats:
    """Torsions phi, psi [length, 2] of a random order of helices, strands and loops."""
    torsions: list[tuple[float, float]] = []
    while len(torsions) < length:
        kind = HELIX if rng.random() < 0.6 else STRAND
        torsions += [kind] * int(rng.integers(8, 14) if kind == HELIX else rng.integers(4, 7))
        torsions += [LOOPS[int(rng.integers(len(LOOPS)))] for _ in range(int(rng.integers(2, 5)))]
    jitter = rng.uniform(-4, 4, (length, 2))
    return np.array(torsions[:length]) + jitter


def grow_backbone(length: int, rng: np.random.Generator) -> Floats:
    """Positions [length, 4, 3] of N, CA, C, O of the most compact of TRIALS random backbones without a clash."""
    torsions = np.stack([_segments(length, rng) for _ in range(TRIALS)])
    n = np.zeros((TRIALS, 3))
    ca = np.tile(np.array([1.458, 0.0, 0.0]), (TRIALS, 1))
    c = place_atom(np.tile(np.array([0.0, 1.0, 0.0]), (TRIALS, 1)), n, ca, 1.525, 111.0, np.full(TRIALS, 180.0))
    atoms: list[tuple[Floats, ...]] = []
    for i in range(length):
        phi, psi = torsions[:, i, 0], torsions[:, i, 1]
        if i > 0:
            before = atoms[-1]
            n = place_atom(before[0], before[1], before[2], 1.329, 117.2, torsions[:, i - 1, 1])
            ca = place_atom(before[1], before[2], n, 1.458, 121.7, np.full(TRIALS, 180.0))
            c = place_atom(before[2], n, ca, 1.525, 111.0, phi)
        atoms.append((n, ca, c, place_atom(n, ca, c, 1.231, 120.3, psi + 180.0)))
    backbones = np.stack([np.stack(four, axis=1) for four in atoms], axis=1)  # [trials, length, 4, 3]
    return backbones[_most_compact(backbones[:, :, 1])]


def _most_compact(traces: Floats) -> int:
    """Index of the CA trace [trials, length, 3] with the smallest radius of those that do not cross themselves."""
    centred = traces - traces.mean(axis=1, keepdims=True)
    radius = np.round(np.sqrt((centred * centred).sum(axis=-1).mean(axis=-1)), 4)
    apart = np.abs(np.arange(traces.shape[1])[:, None] - np.arange(traces.shape[1])[None, :]) >= 4
    nearest = np.array([squared_distances_float(t, t)[apart].min() for t in traces])
    wished = TRACE_GAP_ANGSTROM**2
    limit = wished if (nearest >= wished).any() else nearest.max()
    return int(np.argmin(np.where(nearest >= limit, radius, np.inf)))


def build_chain(name: str, sequence: str, backbone: Floats) -> Chain:
    """A protein chain of the one-letter `sequence` on a backbone [n, 4, 3], centred on the origin.

    Each side chain takes the rotamer that stays furthest from all other atoms; a second round lets the
    first residues see the side chains that came after them.
    """
    frames = [frame(ca, c, n) for n, ca, c, _ in backbone]
    chosen = [np.zeros((0, 3)) for _ in sequence]
    for _ in range(2):
        for i, letter in enumerate(sequence):
            others = np.concatenate([backbone[:i].reshape(-1, 3), backbone[i + 1 :].reshape(-1, 3), *chosen[:i],
                                     *chosen[i + 1 :]])  # fmt: skip
            options = [to_global(local, backbone[i, 1], frames[i]) for local in rotamers(letter)]
            chosen[i] = options[_freest(options, others)]
    residues = [
        Residue(
            PROTEIN_NAMES[letter],
            letter,
            ("N", "CA", "C", "O", *side_chain(letter)[0]),
            np.concatenate([backbone[i], chosen[i]]),
        )
        for i, letter in enumerate(sequence)
    ]
    chain = Chain(name, "protein", residues)
    chain.move(chain.points() - chain.points().mean(axis=0))
    return chain


def _freest(options: list[Floats], others: Floats) -> int:
    if len(options) == 1:
        return 0
    sizes = len(options[0]) - 1  # CB stays where it is
    distances = squared_distances_float(np.concatenate([option[1:] for option in options]), others).min(axis=1)
    nearest = distances.reshape(len(options), sizes).min(axis=1)
    return int(np.argmax(np.round(np.minimum(nearest, 3.3**2), 4)))


def to_selenomethionine(residue: Residue) -> None:
    """Turn MET into MSE in place: the sulphur atom becomes selenium."""
    residue.name, residue.modified = "MSE", True
    residue.atoms = tuple("SE" if name == "SD" else name for name in residue.atoms)
