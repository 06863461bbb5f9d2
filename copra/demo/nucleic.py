"""RNA and DNA strands in A form, single or paired, from ideal internal coordinates.

Backbone torsions are those of A-form RNA with the sugar in C3'-endo (Saenger 1984); bond lengths and
angles are the usual ideal values, rounded; the bases are those of the standard reference frame
(Olson et al. 2001).
"""

from __future__ import annotations

import math

import numpy as np

from copra.demo.geometry import Floats, about_axis, cross, frame, place_atom, to_global, to_local, unit
from copra.demo.molecules import Chain, Residue

# torsions in degrees, within a few degrees of the book's, so chosen that paired bases lie 2.9 Angstrom apart
ALPHA, BETA, GAMMA, DELTA, EPSILON, ZETA, CHI = -65.3, 177.7, 51.2, 82.0, -155.7, -71.9, -154.3
BACKBONE = ("P", "OP1", "OP2", "O5'", "C5'", "C4'", "O4'", "C3'", "O3'", "C2'", "O2'", "C1'")
PAIRED = {"A": "U", "U": "A", "G": "C", "C": "G"}
PURINES = "AG"

# planar positions in the standard reference frame of each base; C1' is the anchor
BASES: dict[str, dict[str, tuple[float, float]]] = {
    "A": {"C1'": (-2.479, 5.346), "N9": (-1.291, 4.498), "C8": (0.024, 4.897), "N7": (0.877, 3.902),
          "C5": (0.071, 2.771), "C6": (0.369, 1.398), "N6": (1.611, 0.909), "N1": (-0.668, 0.532),
          "C2": (-1.912, 1.023), "N3": (-2.320, 2.290), "C4": (-1.267, 3.124)},
    "G": {"C1'": (-2.477, 5.399), "N9": (-1.289, 4.551), "C8": (0.023, 4.962), "N7": (0.870, 3.969),
          "C5": (0.071, 2.833), "C6": (0.424, 1.460), "O6": (1.554, 0.955), "N1": (-0.700, 0.641),
          "C2": (-1.999, 1.087), "N2": (-2.949, 0.139), "N3": (-2.342, 2.364), "C4": (-1.265, 3.177)},
    "C": {"C1'": (-2.477, 5.402), "N1": (-1.285, 4.542), "C2": (-1.472, 3.158), "O2": (-2.628, 2.709),
          "N3": (-0.391, 2.344), "C4": (0.837, 2.868), "N4": (1.875, 2.027), "C5": (1.056, 4.275),
          "C6": (-0.023, 5.068)},
    "U": {"C1'": (-2.481, 5.354), "N1": (-1.284, 4.500), "C2": (-1.462, 3.131), "O2": (-2.563, 2.608),
          "N3": (-0.302, 2.397), "C4": (0.989, 2.884), "O4": (1.935, 2.094), "C5": (1.089, 4.311),
          "C6": (-0.024, 5.053)},
}  # fmt: skip
METHYL = (2.466, 4.961)  # C7 of thymine, on the frame of U
# pseudouridine carries the ring of uracil turned over: which ring position each of U's atoms becomes
PSEUDO = {"N1": "C5", "C2": "C4", "O2": "O4", "N3": "N3", "C4": "C2", "O4": "O2", "C5": "N1", "C6": "C6"}


def _turn(value: float, jitter: float) -> Floats:
    return np.array([value + jitter])


def backbone(length: int, jitter_deg: Floats) -> list[dict[str, Floats]]:
    """Positions of the sugar and phosphate atoms of each nucleotide; `jitter_deg` [length, 2] bends alpha and zeta."""
    before = {"C4'": np.array([[0.0, 1.4, 1.4]]), "C3'": np.array([[0.0, 1.4, 0.0]]), "O3'": np.zeros((1, 3))}
    strand = []
    for alpha_jitter, zeta_jitter in jitter_deg:
        a: dict[str, Floats] = {}
        a["P"] = place_atom(before["C4'"], before["C3'"], before["O3'"], 1.607, 119.7, _turn(EPSILON, 0.0))
        a["O5'"] = place_atom(before["C3'"], before["O3'"], a["P"], 1.593, 104.0, _turn(ZETA, zeta_jitter))
        a["C5'"] = place_atom(before["O3'"], a["P"], a["O5'"], 1.430, 120.9, _turn(ALPHA, alpha_jitter))
        a["C4'"] = place_atom(a["P"], a["O5'"], a["C5'"], 1.510, 110.4, _turn(BETA, 0.0))
        a["C3'"] = place_atom(a["O5'"], a["C5'"], a["C4'"], 1.524, 115.8, _turn(GAMMA, 0.0))
        a["O3'"] = place_atom(a["C5'"], a["C4'"], a["C3'"], 1.423, 111.5, _turn(DELTA, 0.0))
        a["OP1"] = place_atom(a["C5'"], a["O5'"], a["P"], 1.485, 108.5, _turn(ALPHA + 116.0, alpha_jitter))
        a["OP2"] = place_atom(a["C5'"], a["O5'"], a["P"], 1.485, 108.5, _turn(ALPHA - 115.0, alpha_jitter))
        a["O4'"] = place_atom(a["O3'"], a["C3'"], a["C4'"], 1.453, 103.6, _turn(-158.3, 0.0))
        a["C1'"] = place_atom(a["C3'"], a["C4'"], a["O4'"], 1.412, 109.5, _turn(22.7, 0.0))
        a["C2'"] = place_atom(a["C5'"], a["C4'"], a["C3'"], 1.525, 101.6, _turn(-158.7, 0.0))
        a["O2'"] = place_atom(a["C4'"], a["C3'"], a["C2'"], 1.413, 112.7, _turn(-77.8, 0.0))
        a["N"] = place_atom(a["C4'"], a["O4'"], a["C1'"], 1.475, 108.4, _turn(-119.0, 0.0))
        strand.append({name: position[0] for name, position in a.items()})
        before = a
    return strand


def _place_base(points: Floats, sugar: dict[str, Floats], letter: str) -> Floats:
    """Points [n, 3] of the base's standard reference frame, carried to where the sugar holds the base."""
    flat = {name: np.array([x, y, 0.0]) for name, (x, y) in BASES[letter].items()}
    nitrogen, carbon, angle = ("N9", "C4", 126.2) if letter in PURINES else ("N1", "C2", 117.8)
    bound = [sugar[name][None] for name in ("O4'", "C1'", "N")]
    third = place_atom(bound[0], bound[1], bound[2], 1.37, angle, _turn(CHI, 0.0))[0]
    local = to_local(points, flat["C1'"], frame(flat["C1'"], flat[nitrogen], flat[carbon]))
    return to_global(local, sugar["C1'"], frame(sugar["C1'"], sugar["N"], third))


def nucleotide(sugar: dict[str, Floats], letter: str, *, first: bool, deoxy: bool) -> Residue:
    """One nucleotide with its base; the first of a strand has no phosphate, a deoxynucleotide no O2'."""
    base = {name: xy for name, xy in BASES[letter].items() if name != "C1'"}
    if deoxy and letter == "U":
        base["C7"] = METHYL
    placed = _place_base(np.array([[x, y, 0.0] for x, y in base.values()]), sugar, letter)
    skipped = ({"P", "OP1", "OP2"} if first else set()) | ({"O2'"} if deoxy else set())
    kept = [name for name in BACKBONE if name not in skipped]
    xyz = np.concatenate([np.stack([sugar[name] for name in kept]), placed])
    own = letter.replace("U", "T") if deoxy else letter
    return Residue("D" + own if deoxy else own, own, (*kept, *base), xyz)


def to_pseudouridine(residue: Residue) -> None:
    """Turn U into PSU in place: the ring turned over, so that C5 is bound to the sugar."""
    residue.name, residue.modified = "PSU", True
    residue.atoms = tuple(PSEUDO.get(name, name) for name in residue.atoms)


def single_strand(name: str, sequence: str, rng: np.random.Generator) -> Chain:
    """One RNA strand that winds like A form with slightly irregular alpha and zeta."""
    sugars = backbone(len(sequence), rng.uniform(-7, 7, (len(sequence), 2)))
    return _strand(name, sequence, sugars, "rna")


def _strand(name: str, sequence: str, sugars: list[dict[str, Floats]], molecule: str) -> Chain:
    residues = [
        nucleotide(sugar, letter, first=i == 0, deoxy=molecule == "dna")
        for i, (sugar, letter) in enumerate(zip(sugars, sequence, strict=True))
    ]
    return Chain(name, molecule, residues)


def duplex(names: tuple[str, str], sequence: str, second_molecule: str) -> list[Chain]:
    """Two strands: the A-form strand of `sequence` and its complement, half a turn about the helix' dyad away."""
    sugars = backbone(len(sequence), np.zeros((len(sequence), 2)))
    origin, dyad = _dyad(sugars, sequence[0])
    turned = [
        {atom: about_axis(position[None], origin, dyad, 180.0)[0] for atom, position in sugar.items()}
        for sugar in sugars
    ]
    partner = "".join(PAIRED[letter] for letter in reversed(sequence))
    return [_strand(names[0], sequence, sugars, "rna"), _strand(names[1], partner, turned, second_molecule)]


def _dyad(sugars: list[dict[str, Floats]], first_letter: str) -> tuple[Floats, Floats]:
    """A point [3] and the direction [3] of the dyad at mid-height of a regular helix.

    The dyad of a base pair is the x axis of its standard reference frame; it is found for the first
    pair and carried half the helix up by the helix' own screw.
    """
    points = np.stack([sugar["C1'"] for sugar in sugars[:4]])
    steps = points[1:] - points[:-1]
    bends = steps[1:] - steps[:-1]  # point to the axis, square to it
    inward = unit(bends)
    axis = unit(cross(bends[0], bends[1]))
    axis = axis if float((axis * steps[0]).sum()) > 0 else -axis
    rise = float((steps[0] * axis).sum())
    cosine, sine = float((inward[0] * inward[1]).sum()), float((cross(inward[0], inward[1]) * axis).sum())
    chord = steps[1] - rise * axis
    radius = float(np.sqrt((chord * chord).sum() / (2 - 2 * cosine)))
    centre = points[1] + radius * inward[0]
    pair = _place_base(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), sugars[0], first_letter)
    across = pair[1] - pair[0]
    across = unit(across - (across * axis).sum() * axis)
    middle = (len(sugars) - 1) / 2
    turn = math.degrees(math.atan2(sine, cosine)) * middle
    height = float(((pair[0] - centre) * axis).sum()) + rise * middle
    return centre + height * axis, about_axis(across[None], np.zeros(3), axis, turn)[0]


def rna_sequence(length: int, rng: np.random.Generator) -> str:
    """Half purines, half pyrimidines; most purines in one half of the strand, either one."""
    purines = [True] * (length // 2) + [False] * (length - length // 2)
    purines = purines[::-1] if rng.random() < 0.5 else purines
    one, other = int(rng.integers(length)), int(rng.integers(length))
    purines[one], purines[other] = purines[other], purines[one]
    return "".join(("AG" if purine else "CU")[int(rng.integers(2))] for purine in purines)


def nucleic_chains(length: int, kind: str, rng: np.random.Generator) -> list[Chain]:
    """One single RNA strand, an RNA duplex or an RNA-DNA hybrid, centred on the origin; kind says which."""
    if kind == "single":
        chains = [single_strand("R", rna_sequence(length, rng), rng)]
    else:
        chains = duplex(("R", "S" if kind == "paired" else "D"), rna_sequence(length, rng),
                        "rna" if kind == "paired" else "dna")  # fmt: skip
    centre = np.concatenate([chain.points() for chain in chains]).mean(axis=0)
    for chain in chains:
        chain.move(chain.points() - centre)
    return chains
