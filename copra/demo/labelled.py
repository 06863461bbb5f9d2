"""The labelled complexes of the demo world, and the hard cases among them.

Hard cases are made before docking where they change atoms (a gap, modified residues), after it where
they only change how the entry is written (numbers, chain names, alternate location, models).
"""

from __future__ import annotations

import numpy as np

from copra.demo.docking import Wish
from copra.demo.geometry import squared_distances
from copra.demo.law import CONTACT_ANGSTROM, near_residues
from copra.demo.molecules import Chain, Entry, Residue
from copra.demo.nucleic import nucleic_chains, to_pseudouridine
from copra.demo.protein import build_chain, to_selenomethionine
from copra.demo.world import (
    FAMILY_SIZES,
    LABELLED_POSES,
    PAIRED_FAMILIES,
    PROTEIN_CHAINS,
    Fold,
    assemble,
    exchanged,
    identifier,
    new_fold,
    number,
    release_date,
)

# index of the labelled complex -> its hard case
HARD_CASES = {
    1: "modified_protein_residue", 3: "modified_nucleotide", 5: "gap", 8: "alternate_location",
    10: "chain_ids_differ_by_case", 14: "two_models", 20: "rna_of_8", 24: "negative_numbers",
    30: "insertion_codes", 33: "dna_beside_rna", 36: "label_ids_differ_from_author_ids", 46: "ion_and_water",
}  # fmt: skip
HARD_CASE_TEXT = {
    "modified_protein_residue": "a methionine is MSE, written as HETATM",
    "modified_nucleotide": "a uridine is PSU, written as HETATM",
    "gap": "three residues of the protein are in the sequence but not in the coordinates",
    "alternate_location": "one side chain at two locations, A 0.60 and B 0.40",
    "two_models": "an NMR entry of two models, without a resolution",
    "chain_ids_differ_by_case": "protein chains A and a",
    "rna_of_8": "an RNA of 8 nucleotides",
    "negative_numbers": "the protein's author numbers start at -3",
    "insertion_codes": "author numbers 20, 20A, 20B",
    "dna_beside_rna": "the RNA is paired with a DNA strand",
    "label_ids_differ_from_author_ids": "the nucleic chain is first in the file: label ids are not author ids",
    "ion_and_water": "a magnesium ion and two waters beside the polymers",
    "two_letter_chain_ids_differ_by_case": "unlabelled; protein chains AA and Aa",
    "listed_by_its_obsolete_id": "unlabelled; the search names it 0xac, which is obsolete",
    "damaged": "the mmCIF text is cut in the middle of an atom row; pdbbind states a Kd",
    "missing": "listed by the search and labelled by pdbbind, but not in the archive",
}


def labelled_entries(rng: np.random.Generator) -> list[Entry]:
    """All labelled complexes, family by family."""
    sizes = FAMILY_SIZES * 2
    total = sum(sizes)
    # each half of the range of each term is met equally often, independent of family and of each other
    levels = (np.arange(total) + 0.5) / total * 3.2 - 1.6
    positive, purine = levels[rng.permutation(total)], levels[rng.permutation(total)]
    entries: list[Entry] = []
    for family, size in enumerate(sizes):
        n_chains = (PROTEIN_CHAINS * 2)[family]
        low, high = {1: (38, 81), 2: (35, 56), 3: (35, 44)}[n_chains]
        folds = [new_fold(int(rng.integers(low, high)), rng) for _ in range(n_chains)]
        if n_chains == 2 and family % 2 == 1:
            folds[1] = folds[0]  # two copies of one chain
        base_length = int(rng.integers(16, 22)) if n_chains == 3 else int(rng.integers(9, 20))
        for _ in range(size):
            index = len(entries)
            wish = Wish(float(positive[index]), float(purine[index]), LABELLED_POSES // min(n_chains, 2))
            length = 8 if HARD_CASES.get(index) == "rna_of_8" else base_length + int(rng.integers(0, 4))
            kind = "paired" if family in PAIRED_FAMILIES else "single"
            entries.append(_member(index, family, folds, length, kind, wish, rng))
    return entries


def _member(
    index: int, family: int, folds: list[Fold], length: int, kind: str, wish: Wish, rng: np.random.Generator
) -> Entry:
    case = HARD_CASES.get(index, "")
    sequences: dict[int, str] = {}
    for fold in folds:  # two copies of one fold have one sequence
        sequences.setdefault(id(fold), exchanged(fold, rng))
    nucleic = nucleic_chains(length, "hybrid" if case == "dna_beside_rna" else kind, rng)
    proteins = []
    for name, fold in zip("ABC", folds, strict=False):
        sequence = sequences[id(fold)]
        if case == "modified_protein_residue":
            sequence = sequence[:9] + "M" + sequence[10:]
        proteins.append(build_chain(name, sequence, fold.backbone))
    _change_atoms(case, proteins, nucleic)
    chains = assemble(proteins, nucleic, wish, rng)
    for chain in chains:
        number(chain)
    resolution = round(float(rng.uniform(1.4, 3.4)), 2)
    entry = Entry(
        identifier("d", index), f"F{family + 1:02d}", "", chains, "X-RAY DIFFRACTION", resolution, release_date(rng),
        hard_case=case,
    )  # fmt: skip
    _change_record(case, entry)
    return entry


def _change_atoms(case: str, proteins: list[Chain], nucleic: list[Chain]) -> None:
    if case == "modified_protein_residue":
        to_selenomethionine(proteins[0].residues[9])
    elif case == "modified_nucleotide":
        to_pseudouridine(next(residue for residue in nucleic[0].residues if residue.letter == "U"))
    elif case == "gap":
        for residue in proteins[0].residues[21:24]:
            residue.observed = False


def _change_record(case: str, entry: Entry) -> None:
    first = entry.chains[0]
    if case == "alternate_location":
        _far_residue(entry).alternate = True
    elif case == "two_models":
        entry.models, entry.method, entry.resolution = 2, "SOLUTION NMR", None
    elif case == "chain_ids_differ_by_case":
        entry.of("protein")[1].name = "a"
    elif case == "negative_numbers":
        for i, residue in enumerate(first.residues):
            residue.number = i - 3
    elif case == "insertion_codes":
        for i, residue in enumerate(first.residues):
            residue.number = min(i + 1, 20) if i < 22 else i - 1
            residue.insertion = {20: "A", 21: "B"}.get(i, "?")
    elif case == "label_ids_differ_from_author_ids":
        entry.chains = entry.of("rna", "dna") + entry.of("protein")
    elif case == "ion_and_water":
        outside = np.concatenate([chain.points() for chain in entry.chains]).max(axis=0)
        entry.ions = [np.round(outside + 3.0, 3)]
        entry.waters = [np.round(outside + 5.5, 3), np.round(outside + 8.0, 3)]


def _far_residue(entry: Entry) -> Residue:
    """The residue of the first protein chain, with a side chain that turns, that is furthest from the RNA."""
    rna = np.concatenate([chain.rounded() for chain in entry.of("rna")])
    candidates = [residue for residue in entry.of("protein")[0].residues if residue.letter in "KRLQNDEFYHS"]
    nearest = [
        int(squared_distances(np.rint(residue.xyz * 1000).astype(np.int64), rna).min()) for residue in candidates
    ]
    return candidates[int(np.argmax(nearest))]


def every_chain_touches(entry: Entry) -> bool:
    """Whether each protein chain and each RNA chain has a contact."""
    of_protein, of_rna = near_residues(entry.of("protein"), entry.of("rna"), CONTACT_ANGSTROM)
    return all(of_protein) and all(of_rna)
