"""Placing protein chains beside RNA: along a line until the closest atoms are a chosen gap apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from copra.demo.geometry import Floats, Integers, cross, random_rotation, rotate, squared_distances, thousandths, unit
from copra.demo.law import (
    POSITIVE_CENTRE,
    POSITIVE_LETTERS,
    POSITIVE_SCALE,
    PURINE_CENTRE,
    PURINE_LETTERS,
    PURINE_SCALE,
    SHELL_ANGSTROM,
)
from copra.demo.molecules import Chain

NARROWEST_GAP_ANGSTROM, WIDEST_GAP_ANGSTROM = 2.7, 3.3
PROTEIN_GAP_ANGSTROM = 3.0  # kept between protein chains
WISHED_PROTEIN, WISHED_RNA = 14, 6


@dataclass(frozen=True)
class Wish:
    """The interface looked for, in units of the law's scales, and how many poses are tried for it."""

    positive: float
    purine: float
    poses: int


@dataclass
class Pose:
    """One candidate: positions [n, 3] of the moving chain and how far it is from the wish."""

    points: Floats
    score: float


@dataclass
class Landing:
    """How far a chain was shifted, and which of its atoms and of the fixed atoms are in the shell then."""

    shift_angstrom: float
    moving: Integers
    fixed: Integers


def touch_down(
    moving: Floats, fixed: Floats, direction: Floats, gap_angstrom: float, counted: NDArray[np.bool_]
) -> Landing | None:
    """Bring `moving` [n, 3] down along -direction until its closest atom is `gap_angstrom` from `fixed` [m, 3].

    Only the atoms `counted` [m] make a shell (RNA, not DNA). Returns None when the chain passes by.
    """
    side = unit(cross(direction, np.array([1.0, 0.0, 0.0]) if abs(direction[0]) < 0.9 else np.array([0.0, 1.0, 0.0])))
    axes = np.stack([side, cross(direction, side), direction])
    seen, wall = rotate(moving, axes), rotate(fixed, axes)
    low, high = wall[:, :2].min(axis=0) - SHELL_ANGSTROM, wall[:, :2].max(axis=0) + SHELL_ANGSTROM
    rows = np.flatnonzero(((seen[:, :2] > low) & (seen[:, :2] < high)).all(axis=1))
    seen = seen[rows]
    beside = np.zeros((len(seen), len(wall)))
    for axis in range(2):
        difference = seen[:, None, axis] - wall[None, :, axis]
        difference *= difference
        beside += difference
    meets = beside < gap_angstrom**2
    if not meets.any():
        return None
    height = wall[None, :, 2] - seen[:, None, 2]
    shift = float((height[meets] + np.sqrt(gap_angstrom**2 - beside[meets])).max())
    height -= shift
    height *= height
    height += beside
    near = (height < SHELL_ANGSTROM**2) & counted[None, :]
    return Landing(shift, rows[near.any(axis=1)], np.flatnonzero(near.any(axis=0)))


def dock(chain: Chain, nucleic: list[Chain], placed: list[Chain], wish: Wish, rng: np.random.Generator) -> bool:
    """Move a protein chain beside the nucleic chains; False when no pose kept clear of the chains `placed`.

    Only RNA counts for the wish. The pose that comes nearest to the wish is taken.
    """
    fixed = np.concatenate([other.points() for other in nucleic])
    letters = np.array([r.letter for r in chain.residues])
    bases = [r.letter for c in nucleic for r in c.residues]
    owners = _joint_owners(nucleic)
    start, own = chain.points(), chain.owners()
    counted = np.concatenate([np.full(len(c.points()), c.molecule == "rna") for c in nucleic])
    best: Pose | None = None
    for _ in range(wish.poses):
        direction = unit(rng.normal(size=3))
        aim = fixed[int(rng.integers(len(fixed)))]
        gap = float(rng.uniform(NARROWEST_GAP_ANGSTROM, WIDEST_GAP_ANGSTROM))
        turned = rotate(start, random_rotation(rng)) + aim
        landed = touch_down(turned, fixed, direction, gap, counted)
        if landed is None:
            continue
        points = turned + landed.shift_angstrom * direction
        touched = [bases[i] for i in np.unique(owners[landed.fixed])]
        score = _score(letters[np.unique(own[landed.moving])], touched, wish)
        if (best is None or score < best.score) and _clear(points, placed) and _on_rna(points, nucleic):
            best = Pose(points, score)
    if best is None:
        return False
    chain.move(best.points)
    return True


def _joint_owners(chains: list[Chain]) -> Integers:
    owners, start = [], 0
    for chain in chains:
        owners.append(chain.owners() + start)
        start += len(chain.residues)
    return np.concatenate(owners)


def _score(touching: np.ndarray, bases: list[str], wish: Wish) -> float:
    if not bases:
        return 1000.0
    positive = float(np.isin(touching, list(POSITIVE_LETTERS)).mean())
    purine = sum(base in PURINE_LETTERS for base in bases) / len(bases)
    miss = abs((positive - POSITIVE_CENTRE) / POSITIVE_SCALE - wish.positive)
    miss += 0.6 * abs((purine - PURINE_CENTRE) / PURINE_SCALE - wish.purine)
    return round(miss + 0.15 * max(0, WISHED_PROTEIN - len(touching)) + 0.2 * max(0, WISHED_RNA - len(bases)), 6)


def _clear(points: Floats, placed: list[Chain]) -> bool:
    limit = round(PROTEIN_GAP_ANGSTROM * 1000) ** 2
    whole = thousandths(points)
    return all(int(squared_distances(whole, other.rounded()).min()) >= limit for other in placed)


def _on_rna(points: Floats, nucleic: list[Chain]) -> bool:
    """Whether the closest nucleic atom is one of RNA: beside DNA the chain may have landed on that instead."""
    limit = round(WIDEST_GAP_ANGSTROM * 1000 + 1) ** 2
    whole = thousandths(points)
    return any(int(squared_distances(whole, c.rounded()).min()) <= limit for c in nucleic if c.molecule == "rna")
