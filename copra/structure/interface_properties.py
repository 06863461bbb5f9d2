"""Size and properties of a protein-RNA interface, as boosted trees on interface structure read them.

PredPRBA (Deng, Yang, Liu 2019, Front. Genet. 10:637) describes a complex by features of its sequences and of its
interface: area, hydrogen bonds, what the residues in contact are, secondary structure. The values here are of that
kind and are all taken from the coordinates; how they differ from the published list stands in docs/baselines.md.

A pair of heavy atoms is below a cutoff when its distance is smaller, never equal. Hydrogen bonds, salt bridges and
stacking are told by heavy atoms alone: pairs that are as near as if they were bonded, whatever their angles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from copra.structure.atom_classes import (
    NUCLEOTIDE_PARTS,
    OXYGEN,
    PROTEIN_RINGS,
    atom_classes,
    has_class,
    is_backbone,
    nucleotide_parts,
)
from copra.structure.local_shape import BACKBONE_CLASSES, HYDROGEN_BOND_ANGSTROM, backbone_classes, is_paired
from copra.structure.partners import Pairs, Partners
from copra.structure.residues import PROTEIN, RNA, type_index
from copra.structure.rings import GUANIDINIUM, stacked

SALT_BRIDGE_ANGSTROM = 4.0
STACKING_REACH_ANGSTROM = 12.0  # residues that are farther apart have no rings that stack
AMINO_ACIDS = {
    "basic": "HKR",
    "acidic": "DE",
    "polar": "CNQST",
    "aliphatic": "AILMV",
    "aromatic": "FWY",
    "special": "GP",
}
NUCLEOTIDES = "ACGU"
CHARGED = {"arginine": "R", "lysine": "K"}
PHOSPHATE_OXYGENS = np.array([b"OP1", b"OP2", b"OP3"])


def interface_size(partners: Partners, cutoff_angstrom: float, buried_area_angstrom2: float) -> dict[str, float]:
    """Plain size: residues, nucleotides and pairs with heavy atoms below the cutoff, the nearest pair, buried area."""
    pairs = partners.below(cutoff_angstrom)
    return {
        "n_protein_residues_in_contact": float(len(np.unique(partners.protein.residue[pairs.protein]))),
        "n_nucleotides_in_contact": float(len(np.unique(partners.rna.residue[pairs.rna]))),
        "n_residue_contacts": float(len(_residue_pairs(partners, pairs))),
        "n_atom_contacts": float(len(pairs.protein)),
        "nearest_distance_angstrom": float(pairs.distance_angstrom.min()),
        "buried_area_angstrom2": buried_area_angstrom2,
    }


def interface_properties(partners: Partners, cutoff_angstrom: float, buried_area_angstrom2: float) -> dict[str, float]:
    """What an interface is made of: about fifty values, the size's among them.

    Counts are of pairs below a cutoff, fractions are of the residues or atoms in contact. `partners` must have at least
    one pair below the cutoff, and reach to `STACKING_REACH_ANGSTROM`.
    """
    pairs = partners.below(cutoff_angstrom)
    size = interface_size(partners, cutoff_angstrom, buried_area_angstrom2)
    n_residues = size["n_protein_residues_in_contact"] + size["n_nucleotides_in_contact"]
    return {
        **size,
        "buried_area_per_residue_angstrom2": buried_area_angstrom2 / n_residues,
        "residue_contacts_per_residue": size["n_residue_contacts"] / n_residues,
        **_composition(partners, pairs),
        **_contacts_by_part(partners, pairs),
        **_hydrogen_bonds(partners),
        **_salt_bridges(partners),
        **_stacking(partners),
        **_shape(partners, pairs),
        **_local(partners, pairs),
    }


def _residue_pairs(partners: Partners, pairs: Pairs, third: npt.NDArray[np.int64] | None = None) -> npt.NDArray:
    """The different pairs of a residue and a nucleotide [p, 2], or with `third` [K] the different triples [p, 3]."""
    n_residues = len(partners.structure.arrays["chain"])
    first, second = partners.protein.residue[pairs.protein], partners.rna.residue[pairs.rna]
    key = first * n_residues + second
    if third is None:
        key = np.unique(key)
        return np.stack([key // n_residues, key % n_residues], axis=1)
    size = int(third.max(initial=0)) + 1
    key = np.unique(key * size + third)
    return np.stack([key // size // n_residues, key // size % n_residues, key % size], axis=1)


def _composition(partners: Partners, pairs: Pairs) -> dict[str, float]:
    """Fractions of the amino acids, nucleotides and polar atoms in contact."""
    arrays = partners.structure.arrays
    found: dict[str, float] = {}
    kind = arrays["residue_type"][np.unique(partners.protein.residue[pairs.protein])]
    for name, letters in AMINO_ACIDS.items():
        found[f"fraction_{name}"] = float(np.isin(kind, [type_index(letter, True) for letter in letters]).mean())
    kind = arrays["residue_type"][np.unique(partners.rna.residue[pairs.rna])]
    for letter in NUCLEOTIDES:
        found[f"fraction_nucleotide_{letter}"] = float((kind == type_index(letter, False)).mean())
    for name, side, places in (("protein", partners.protein, pairs.protein), ("rna", partners.rna, pairs.rna)):
        element = arrays["atom_element"][side.atoms[np.unique(places)]]
        found[f"fraction_polar_{name}_atoms"] = float(np.isin(element, (7, 8, 15)).mean())
    return found


def _contacts_by_part(partners: Partners, pairs: Pairs) -> dict[str, float]:
    """Residues of each class and parts of nucleotides that touch: pairs of a residue and a nucleotide's part."""
    arrays = partners.structure.arrays
    part = nucleotide_parts(arrays["atom_name"][partners.rna.atoms[pairs.rna]])
    triples = _residue_pairs(partners, pairs, part)
    kind = arrays["residue_type"][triples[:, 0]]
    return {
        f"n_{name}_to_{part_name}": float(
            np.count_nonzero(np.isin(kind, [type_index(x, True) for x in letters]) & (triples[:, 2] == i))
        )
        for name, letters in AMINO_ACIDS.items()
        for i, part_name in enumerate(NUCLEOTIDE_PARTS)
    }


def _hydrogen_bonds(partners: Partners) -> dict[str, float]:
    """Pairs of a donor and an acceptor below `HYDROGEN_BOND_ANGSTROM`, by part of the residue and the nucleotide."""
    pairs, arrays = partners.below(HYDROGEN_BOND_ANGSTROM), partners.structure.arrays
    ours, theirs = partners.protein.atoms[pairs.protein], partners.rna.atoms[pairs.rna]
    protein = atom_classes(partners.structure, ours, partners.protein.residue[pairs.protein], PROTEIN)
    rna = atom_classes(partners.structure, theirs, partners.rna.residue[pairs.rna], RNA)
    accepts = has_class(rna, RNA, "base_acceptor") | (arrays["atom_element"][theirs] == OXYGEN)
    donates = has_class(rna, RNA, "base_donor", "hydroxyl")
    bonded = (has_class(protein, PROTEIN, "donor") & accepts) | (has_class(protein, PROTEIN, "acceptor") & donates)
    backbone, part = is_backbone(arrays["atom_name"][ours]), nucleotide_parts(arrays["atom_name"][theirs])
    found = {"n_hydrogen_bonds": float(np.count_nonzero(bonded))}
    for name, of_residue in (("backbone", backbone), ("side_chain", ~backbone)):
        for i, part_name in enumerate(NUCLEOTIDE_PARTS):
            found[f"n_hydrogen_bonds_{name}_to_{part_name}"] = float(
                np.count_nonzero(bonded & of_residue & (part == i))
            )
    return found


def _salt_bridges(partners: Partners) -> dict[str, float]:
    """Residue pairs: a charged nitrogen of Arg or Lys below `SALT_BRIDGE_ANGSTROM` of a phosphate's free oxygen."""
    pairs, arrays = partners.below(SALT_BRIDGE_ANGSTROM), partners.structure.arrays
    residue = partners.protein.residue[pairs.protein]
    classes = atom_classes(partners.structure, partners.protein.atoms[pairs.protein], residue, PROTEIN)
    oxygen = np.isin(arrays["atom_name"][partners.rna.atoms[pairs.rna]], PHOSPHATE_OXYGENS)
    charged = has_class(classes, PROTEIN, "positive") & oxygen
    kind = arrays["residue_type"][residue]
    return {
        f"n_salt_bridges_{name}": float(
            len(_residue_pairs(partners, pairs.where(charged & (kind == type_index(letter, True)))))
        )
        for name, letter in CHARGED.items()
    }


def _stacking(partners: Partners) -> dict[str, float]:
    """Residue pairs of which a ring of the side chain, or the guanidinium, lies on a ring of the base."""
    pairs = partners.below(STACKING_REACH_ANGSTROM)
    residues = np.unique(partners.protein.residue[pairs.protein]), np.unique(partners.rna.residue[pairs.rna])
    groups = (("ring", PROTEIN_RINGS), ("guanidinium", GUANIDINIUM))
    return {f"n_{name}_stacking": float(stacked(partners.structure, *residues, group)) for name, group in groups}


def _shape(partners: Partners, pairs: Pairs) -> dict[str, float]:
    """Radius of gyration of the atoms in contact, and their RMS distance from the plane that fits them best."""
    xyz = np.concatenate([
        partners.protein.xyz[np.unique(pairs.protein)], partners.rna.xyz[np.unique(pairs.rna)]
    ])  # fmt: skip
    spread = np.linalg.eigvalsh(np.cov(xyz, rowvar=False, bias=True))
    return {
        "radius_of_gyration_angstrom": float(np.sqrt(spread.sum().clip(0))),
        "planarity_rms_angstrom": float(np.sqrt(spread[0].clip(0))),
    }


def _local(partners: Partners, pairs: Pairs) -> dict[str, float]:
    """Paired nucleotides, of the RNA and of those in contact; regions of the backbone of the residues in contact."""
    paired = is_paired(partners.structure, partners.rna.residues)
    touching = np.isin(partners.rna.residues, partners.rna.residue[pairs.rna])
    regions = backbone_classes(partners.structure, np.unique(partners.protein.residue[pairs.protein]))
    known = max(1, int(np.count_nonzero(regions >= 0)))
    return {
        "fraction_paired_nucleotides": float(paired.mean()),
        "fraction_paired_nucleotides_in_contact": float(paired[touching].mean()),
        **{
            f"fraction_{name}": float(np.count_nonzero(regions == i)) / known for i, name in enumerate(BACKBONE_CLASSES)
        },
    }
