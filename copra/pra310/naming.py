"""Which chains a measurement is about: as its source names them, or from the structure; and when two names are one.

Within an entry two names are one complex when the chains of one contain those of the other (A:Q and A,B:Q), or when
their chains have the same sequences (A:P and B:Q, two copies in one crystal). The name that stands for both is that
of the best documented source (`source_order`), then of the most measurements, then the one with the fewest chains,
then the first in text order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from copra.decisions import Book
from copra.linkage import connected_groups
from copra.pra310.archive import DNA, PROTEIN, Entry
from copra.pra310.rules import source_rank
from copra.tables import RNA_CHAIN_TYPES

Names = tuple[str, ...]


@dataclass
class Complex:
    """Protein and RNA chains of one entry, and the measurements (id -> source) about them."""

    pdb_id: str
    protein_chains: Names
    rna_chains: Names
    origin: str
    measurements: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`1asz:A,B:R,S`; a question mark where no chain is known."""
        return f"{self.pdb_id}:{','.join(self.protein_chains) or '?'}:{','.join(self.rna_chains) or '?'}"

    @property
    def chain_sets(self) -> tuple[frozenset[str], frozenset[str]]:
        """The chains without their order: the key under which equal names meet."""
        return frozenset(self.protein_chains), frozenset(self.rna_chains)


def split_chains(text: str) -> Names:
    """`A,B` -> ("A", "B")."""
    return tuple(text.split(",")) if text else ()


def says_dna(protein: Names, nucleic: Names, nucleic_acid: str, entry: Entry | None, rna_elsewhere: bool) -> str:
    """Why this measurement is of DNA; empty when it is not or that is not known.

    The structure decides where it can; the source's own word counts where the structure is silent, unless another
    source says RNA (`rna_elsewhere`).
    """
    if entry is not None:
        stated = [entry.chains[name] for name in protein + nucleic if name in entry.chains]
        if nucleic and len(stated) == len(protein + nucleic):
            kinds = {chain.molecule_type for chain in stated} - {PROTEIN}
            return "the named nucleic chains are DNA in the structure" if kinds == {DNA} else ""
        if entry.names(DNA) and not entry.names(*RNA_CHAIN_TYPES):
            return "all nucleic chains of the structure are DNA"
    return "the source says DNA" if nucleic_acid == "DNA" and not rna_elsewhere else ""


def named_complex(pdb_id: str, protein: Names, nucleic: Names, entry: Entry | None, book: Book) -> Complex | None:
    """The complex as the source names it; None when it names none or the structure lacks a named chain.

    Where the structure says that a chain on the protein side is nucleic, or the reverse, the sides are mended.
    """
    if not (protein and nucleic):
        return None
    if entry is None:
        return Complex(pdb_id, protein, nucleic, "source")
    if any(name not in entry.chains for name in protein + nucleic):
        return None
    both = tuple(dict.fromkeys(protein + nucleic))
    proteins = tuple(name for name in both if entry.chains[name].molecule_type == PROTEIN)
    others = tuple(name for name in both if name not in proteins)
    if not (proteins and others):
        return None
    complex_ = Complex(pdb_id, proteins, others, "source")
    if set(proteins) != set(protein):
        stated = Complex(pdb_id, protein, nucleic, "source").name
        note_once(book, stated, "sides_by_molecule_type", complex_.name, "molecule types in the structure")
    return complex_


def from_structure(pdb_id: str, entry: Entry | None) -> Complex:
    """The smallest connected group of touching protein and RNA chains, of the first copy; or no chains."""
    groups = entry.groups() if entry is not None else []
    if not groups:
        return Complex(pdb_id, (), (), "unresolved")
    return Complex(pdb_id, groups[0][0], groups[0][1], "structure")


def join_names(complexes: list[Complex], entry: Entry | None, source_order: Sequence[str], book: Book) -> list[Complex]:
    """The complexes of one entry with those that are one put together, one decision for each name given up."""
    by_sets: dict[tuple[frozenset[str], frozenset[str]], Complex] = {}
    for complex_ in sorted(complexes, key=lambda c: c.name):
        known = by_sets.setdefault(complex_.chain_sets, complex_)
        if known is not complex_:
            known.measurements |= complex_.measurements
            known.origin = min(known.origin, complex_.origin)  # "source" before "structure" before "unresolved"
    by_name = {complex_.name: complex_ for complex_ in by_sets.values()}
    names = sorted(by_name)
    edges = [(a, a) for a in names]
    edges += [(a, b) for a in names for b in names if a < b and _why_one(by_name[a], by_name[b], entry)]
    groups = connected_groups(edges)
    return [_put_together([by_name[n] for n in group], entry, source_order, book) for group in groups]


def _why_one(a: Complex, b: Complex, entry: Entry | None) -> str:
    (a_protein, a_rna), (b_protein, b_rna) = a.chain_sets, b.chain_sets
    if not (a_protein and b_protein):
        return ""
    if (a_protein <= b_protein and a_rna <= b_rna) or (b_protein <= a_protein and b_rna <= a_rna):
        return "contained_chains"
    if entry is None or any(name not in entry.chains for name in a_protein | a_rna | b_protein | b_rna):
        return ""
    same_protein = entry.sequences_of(a_protein) == entry.sequences_of(b_protein)
    return "same_sequences" if same_protein and entry.sequences_of(a_rna) == entry.sequences_of(b_rna) else ""


def _put_together(group: list[Complex], entry: Entry | None, source_order: Sequence[str], book: Book) -> Complex:
    def rank(c: Complex) -> tuple[int, int, int, str]:
        n_chains = len(c.protein_chains) + len(c.rna_chains)
        places = [source_rank(source, source_order)[0] for source in c.measurements.values()]
        best = min(places, default=len(source_order))
        return best, -len(c.measurements), n_chains, c.name

    first, *others = sorted(group, key=rank)
    kept = Complex(first.pdb_id, first.protein_chains, first.rna_chains, first.origin, dict(first.measurements))
    for other in others:
        rule = _why_one(first, other, entry) or "joined_through_a_third_name"
        evidence = ",".join(sorted(other.measurements))
        note_once(book, other.name, rule, first.name, evidence)
        kept.measurements |= other.measurements
    return kept


def note_once(book: Book, stated: str, rule: str, after: str, evidence: str) -> None:
    """Decide on a chain name once, however many measurements use it."""
    if not book.is_decided(stated, rule):
        book.decide(stated, rule, "override", before=stated, after=after, evidence=evidence)
