"""A synthetic archive of any size, in the sources' own file formats, for benchmarks/scale.py.

    python benchmarks/synthetic_archive.py FOLDER [--entries 6000] [--pairs 150000] [--seed 7]

Nothing in it is real; the same arguments give the same bytes. What is like the real archive and what is not stands in
benchmarks/README.md, section "At scale". Every part grows with the number of entries: nine of ten are small complexes
in 1 to 4 copies, one of ten is large and has most of the pairs; one of ten is labelled, one in a hundred mutated; one
in a hundred files is damaged, one in two hundred is not there and as many hold no RNA.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from synthetic_units import Chain, Entry, Fold, mmcif_text

from copra.demo import sources
from copra.demo.labels import CONFLICT_KCAL_MOL, ROOM_TEMPERATURE_K, UNRESOLVED_KCAL_MOL, Labelled
from copra.demo.law import Terms
from copra.demo.mutations import Mutation

AMINO_ACIDS, NUCLEOTIDES = "ARNDCQEGHILKMFPSTWYV", "ACGU"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FOLDS, LARGE_FOLDS = 64, 120
# Residues: log-normal, held within 60 and 200; PRA310's 314 proteins have a median of 173 and reach 1,301
MEDIAN_RESIDUES, SPREAD, SHORTEST, LONGEST = 110, 0.4, 60, 200
LARGE_RESIDUES = (32, 50)  # of the proteins of large entries
SEGMENT_NUCLEOTIDES = 4  # of an RNA chain of a large entry beside one protein
STRAND_NUCLEOTIDES = (5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 24, 32)
# Pitman-Yor process: a family, species or sequence that is often there comes more often; its sizes have a heavy tail
DISCOUNT, CONCENTRATION = 0.75, 1.0
REPEATED = 0.5  # of the chains with a sequence that their family has already
MOST_EXCHANGED = 0.5  # of the residues of a new member of a family
LARGE, LABELLED, DAMAGED, ABSENT, WITHOUT_RNA, OBSOLETE, NMR = 0.1, 0.1, 0.01, 0.005, 0.005, 0.005, 0.02
MUTATED = 0.01
BAD_LINES = 0.005  # of BioLiP's lines
OTHER_LIGANDS = 2  # lines of BioLiP about other ligands for each line of RNA
COPIES = ((1, 0.5), (2, 0.3), (3, 0.08), (4, 0.12))  # of a small complex in its entry
ROLES = (
    ("pdbbind_only", 0.45), ("agree_prbabv2", 0.15), ("agree_pronab", 0.15), ("agree_all", 0.07),
    ("prbabv2_only", 0.05), ("pronab_only", 0.03), ("conflict", 0.04), ("unresolved", 0.03), ("censored", 0.03),
)  # fmt: skip
SMALL_PITCH_ANGSTROM, LARGE_PITCH_ANGSTROM = 250.0, 80.0  # between neighbouring copies and proteins


@dataclass
class Growing:
    """Draws numbers 0, 1, 2, ...: one that was drawn before with a weight that grows with how often, or a new one."""

    rng: np.random.Generator
    counts: list[int] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)

    def draw(self) -> int:
        """The next number (Pitman and Yor 1997)."""
        n = len(self.drawn)
        if self.rng.random() * (n + CONCENTRATION) < CONCENTRATION + DISCOUNT * len(self.counts):
            self.counts.append(0)
            found = len(self.counts) - 1
        else:  # a member of a family stands for it with count - DISCOUNT
            found = self.drawn[int(self.rng.integers(n))]
            while self.rng.random() * self.counts[found] < DISCOUNT:
                found = self.drawn[int(self.rng.integers(n))]
        self.counts[found] += 1
        self.drawn.append(found)
        return found


@dataclass
class Family:
    """A family of proteins: its fold, residues before the fold that no structure shows, and its members."""

    fold: Fold
    head: str
    parent: str
    members: list[str] = field(default_factory=list)

    def member(self, rng: np.random.Generator) -> str:
        """The sequence on the fold of one more chain: one that is known, or the parent's with residues exchanged."""
        if self.members and rng.random() < REPEATED:
            return self.members[int(rng.integers(len(self.members)))]
        rate = rng.random() * MOST_EXCHANGED
        letters = [_letter(rng) if rng.random() < rate else letter for letter in self.parent]
        self.members.append("".join(letters))
        return self.members[-1]


def _letter(rng: np.random.Generator) -> str:
    return AMINO_ACIDS[int(rng.integers(20))]


class World:
    """Folds, families and species; entries are made one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 0])
        rng = np.random.default_rng([seed, 1])
        sizes = np.clip(MEDIAN_RESIDUES * np.exp(SPREAD * rng.normal(size=FOLDS)), SHORTEST, LONGEST).astype(int)
        self.folds = [Fold(int(n), rng.choice(STRAND_NUCLEOTIDES, 2).tolist(), rng) for n in sizes]
        large = rng.integers(*LARGE_RESIDUES, LARGE_FOLDS)
        self.large_folds = [Fold(int(n), [SEGMENT_NUCLEOTIDES] * 3, rng) for n in large]
        self.families: dict[int, Family] = {}
        self.family, self.species = Growing(self.rng), Growing(self.rng)
        self.proteomes: dict[tuple[int, int], str] = {}  # species and large fold: the sequence

    def small(self, pdb_id: str, copies: int, with_rna: bool) -> Entry:
        """Copies of a protein with one or two strands of RNA."""
        rng = self.rng
        number = self.family.draw()
        if number not in self.families:
            fold = self.folds[number % FOLDS]
            head = "".join(_letter(rng) for _ in range(int(rng.integers(0, 30))))
            parent = "".join(letter if rng.random() < 0.2 else _letter(rng) for letter in fold.sequence)
            self.families[number] = Family(fold, head, parent)
        family = self.families[number]
        sequence = family.member(rng)
        n_strands = min(len(family.fold.strands), 1 + int(rng.random() < 0.3)) if with_rna else 0
        bases = ["".join(rng.choice(list(NUCLEOTIDES), len(s.sequence))) for s in family.fold.strands[:n_strands]]
        entry = _entry(pdb_id, f"S{number}", rng)
        proteins, rnas = [], []
        for copy, shift in enumerate(_places(copies, SMALL_PITCH_ANGSTROM)):
            protein = Chain(LETTERS[copy], "protein", [(family.fold.residues(sequence), shift)], family.head)
            proteins.append(protein)
            for k, letters in enumerate(bases):
                strand = family.fold.strands[k]
                rna = Chain(LETTERS[copies + len(rnas)], "rna", [(strand.residues(letters), shift)])
                rnas.append(rna)
                entry.pairs.append((protein, rna, [len(family.head) + i for i in strand.touched]))
        entry.chains = [*proteins, *rnas]
        return entry

    def large(self, pdb_id: str, n_pairs: int) -> Entry:
        """Proteins on a lattice, each beside two or three RNA chains: long ones and short ones."""
        rng = self.rng
        species = self.species.draw()
        entry = _entry(pdb_id, f"L{species}", rng)
        sites: list[int] = []  # strands of each protein
        while sum(sites) < n_pairs and len(sites) < LARGE_FOLDS:
            usable = len(self.large_folds[len(sites)].strands)
            sites.append(min(usable, 2 + int(rng.random() < 0.9), n_pairs - sum(sites)))
        names = (a + b for a, b in product(LETTERS, LETTERS))
        rnas = [Chain(next(names), "rna", []) for _ in range(6)]
        weights = np.array([0.44, 0.38, 0.05, 0.05, 0.04, 0.04])
        proteins = []
        for number, (n_sites, shift) in enumerate(zip(sites, _places(len(sites), LARGE_PITCH_ANGSTROM), strict=True)):
            fold = self.large_folds[number]
            sequence = self._of_species(species, number)
            protein = Chain(next(names), "protein", [(fold.residues(sequence), shift)])
            proteins.append(protein)
            for k, place in enumerate(rng.choice(6, n_sites, replace=False, p=weights).tolist()):
                strand, rna = fold.strands[k], rnas[place]
                rna.parts.append((strand.residues(strand.sequence), shift))
                entry.pairs.append((protein, rna, strand.touched))
        entry.chains = [*proteins, *(rna for rna in rnas if rna.parts)]
        return entry

    def _of_species(self, species: int, number: int) -> str:
        """The protein of this number in a species: the fold's sequence with residues exchanged."""
        known = self.proteomes.get((species, number))
        if known is None:
            rng, parent = self.rng, self.large_folds[number].sequence
            rate = rng.random() * MOST_EXCHANGED
            known = "".join(_letter(rng) if rng.random() < rate else letter for letter in parent)
            self.proteomes[species, number] = known
        return known


def _entry(pdb_id: str, family: str, rng: np.random.Generator) -> Entry:
    nmr = rng.random() < NMR
    year, month, day = rng.integers([2001, 1, 1], [2024, 13, 29])
    resolution = None if nmr else round(float(rng.uniform(1.4, 3.6)), 2)
    return Entry(pdb_id, family, [], resolution, f"{year:04d}-{month:02d}-{day:02d}", 3 if nmr else 1)


def _places(count: int, pitch_angstrom: float) -> Iterator[np.ndarray]:
    """Places [3] of a cubic lattice."""
    edge = int(np.ceil(count ** (1 / 3) - 1e-9))
    for _, cell in zip(range(count), product(range(edge), repeat=3), strict=False):
        yield np.array(cell) * pitch_angstrom


def pair_counts(n_entries: int, n_pairs: int, rng: np.random.Generator) -> list[int]:
    """For each entry 0 where it is small, or the pairs of a large one, which share what the small ones leave."""
    n_large = round(LARGE * n_entries)
    expected = sum(copies * share for copies, share in COPIES) * 1.28 * (n_entries - n_large)
    weights = rng.uniform(0.7, 1.3, n_large)
    counts = np.maximum(2, np.rint((n_pairs - expected) * weights / weights.sum())).astype(int)
    return rng.permutation([*counts, *[0] * (n_entries - n_large)]).tolist()


def identifier(number: int) -> str:
    """An id that the PDB never gives out (it begins with 0), for up to 46,656 numbers, spread over the folders."""
    return "0" + np.base_repr(number * 7919 % 46656 + 46656, 36)[1:].lower()


def labelled(entry: Entry, rng: np.random.Generator) -> Labelled:
    """Which sources state what of an entry; dG in kcal/mol."""
    role = str(rng.choice([name for name, _ in ROLES], p=[share for _, share in ROLES]))
    dg = round(float(np.clip(rng.normal(-9.0, 1.6), -12.9, -5.6)), 4)
    pdbbind: float | None = None if role in ("prbabv2_only", "pronab_only") else dg
    in_prbab, in_pronab = role in ("agree_prbabv2", "agree_all", "prbabv2_only"), role in ("agree_pronab", "agree_all")
    prbab = dg if in_prbab else None
    pronab = dg if in_pronab or role == "pronab_only" else None
    if role in ("conflict", "unresolved"):
        prbab = dg + (CONFLICT_KCAL_MOL if role == "conflict" else UNRESOLVED_KCAL_MOL)
    terms = Terms(0.0, 0.0, 1, 1)  # the law of the demo is not used
    return Labelled(entry, role, terms, dg, 0.1, dg, ROOM_TEMPERATURE_K, pdbbind, prbab, pronab)  # type: ignore[arg-type]


def mutations(entry: Entry, rng: np.random.Generator) -> list[Mutation]:
    """Three exchanges to alanine in the first protein chain."""
    chain = entry.of("protein")[0]
    usable = [i for i, letter in enumerate(chain.sequence) if i >= len(chain.head) and letter not in "AG"]
    chosen = sorted(rng.choice(usable, 3, replace=False).tolist())
    ddg = rng.normal(0.8, 0.9, 3).round(2).tolist()
    names = [f"{chain.sequence[i]}{i + 1}A" for i in chosen]
    return [Mutation(entry.pdb_id, chain.name, name, value) for name, value in zip(names, ddg, strict=True)]


def biolip_lines(entry: Entry, rng: np.random.Generator) -> Iterator[str]:
    """BioLiP's rows of the entry's pairs, some of them broken, and rows of other ligands between them."""
    resolution = "-1.00" if entry.resolution is None else f"{entry.resolution:.2f}"
    for site, (protein, rna, touched) in enumerate(entry.pairs, start=1):
        sequence = protein.sequence
        binding = " ".join(f"{sequence[i]}{i + 1}" for i in touched)
        seen = sequence[len(protein.head) :]
        again = " ".join(f"{sequence[i]}{i + 1 - len(protein.head)}" for i in touched)
        ends = f"1~{len(rna.sequence)}"
        for ligand, partner, found in [("rna", rna.name, binding)] + [("MG", protein.name, binding)] * OTHER_LIGANDS:
            cells = [entry.pdb_id, protein.name, resolution, f"BS{site:02d}", ligand, partner, "0", found, again]
            line = "\t".join([*cells, *[""] * 10, ends, seen])
            yield line[: len(line) // 3] if ligand == "rna" and rng.random() < BAD_LINES else line


def write_archive(folder: Path, n_entries: int, n_pairs: int, seed: int) -> dict[str, int]:
    """Write the archive below `folder`; returns how many of what are in it."""
    world, rng = World(seed), np.random.default_rng([seed, 2])
    made: list[Labelled] = []
    exchanges: list[Mutation] = []
    listed, successors, said = [], {}, dict.fromkeys(("entries", "files", "pairs", "chains", "atoms", "bytes"), 0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "biolip").mkdir(exist_ok=True)
    with gzip.GzipFile(folder / "biolip" / "BioLiP.txt.gz", "wb", compresslevel=1, mtime=0) as biolip:
        for number, count in enumerate(pair_counts(n_entries, n_pairs, rng)):
            copies = int(rng.choice([c for c, _ in COPIES], p=[share for _, share in COPIES]))
            with_rna = rng.random() >= WITHOUT_RNA
            name = identifier(number)
            entry = world.large(name, count) if count else world.small(name, copies, with_rna)
            listed.append(identifier(n_entries + number) if number == 0 or rng.random() < OBSOLETE else name)
            successors |= {listed[-1]: name} if listed[-1] != name else {}
            _count(said, entry)
            biolip.write("".join(f"{line}\n" for line in biolip_lines(entry, rng)).encode())
            if not count and with_rna and rng.random() < LABELLED / (1 - LARGE):
                made.append(labelled(entry, rng))
                if not exchanges or rng.random() < MUTATED / LABELLED:
                    exchanges += mutations(entry, rng)
            if rng.random() >= ABSENT:
                said["bytes"] += _write_structure(folder, entry, damaged=rng.random() < DAMAGED)
                said["files"] += 1
    tables = {
        "search/protein_rna_entries.json": sources.search_answer(listed),
        "status/obsolete.dat": sources.obsolete_list(successors),
        "pdbbind/INDEX_general_PN.2020R1.lst": sources.pdbbind_index(made, []),
        "prbabv2/prbabv2.csv": sources.prbabv2_table(made),
        "pronab/pronab.csv": sources.pronab_table(made, exchanges),
        "mcsm/mutations.txt": sources.mutation_list(exchanges),
    }
    for name, text in tables.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    said |= {"labelled": len(made), "mutations": len(exchanges), "families": len(world.families)}
    (folder / "made.json").write_text(json.dumps(said) + "\n")  # last: an archive with it is whole
    return said


def _count(said: dict[str, int], entry: Entry) -> None:
    said["entries"] += 1
    said["pairs"] += len(entry.pairs)
    said["chains"] += len(entry.chains)
    said["atoms"] += sum(len(r.names) for chain in entry.chains for residues, _ in chain.parts for r in residues)


def _write_structure(folder: Path, entry: Entry, damaged: bool) -> int:
    """Write the mmCIF file; a damaged one is cut in the middle of an atom row. Returns its size in bytes."""
    text = mmcif_text(entry)
    if damaged:
        text = text[: text.rindex("\nATOM ") + 20]
    path = folder / "structures" / "divided" / "mmCIF" / entry.pdb_id[1:3] / f"{entry.pdb_id}.cif.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=1, mtime=0))
    return path.stat().st_size


def main() -> None:
    """Write the archive and tell what is in it."""
    parser = argparse.ArgumentParser(description="A synthetic archive of any size.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=6000)
    parser.add_argument("--pairs", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(json.dumps(write_archive(options.folder, options.entries, options.pairs, options.seed)))


if __name__ == "__main__":
    main()
