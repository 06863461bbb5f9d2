"""One copy of a complex from the chains that an index line names, one case for each rule."""

from __future__ import annotations

import pytest

from copra.decisions import Book
from copra.files import sha256_of_text
from copra.pra310.archive import Chain, Entry
from copra.pra310.copies import one_copy_of
from copra.pra310.naming import Complex, split_chains

# chains of one letter: protein A B C (same sequence) and L, RNA P Q (same) and R (a piece of P), DNA D
CHAINS = {
    "A": ("protein", "MKVAL"), "B": ("protein", "MKVAL"), "C": ("protein", "MKVAL"), "L": ("protein", "MWWWW"),
    "P": ("rna", "GGCC"), "Q": ("rna", "GGCC"), "R": ("rna", "GGC"), "D": ("dna", "GGCC"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("named", "contacts", "expected", "rules"),
    [
        ("A:P", {"AP": 20}, "A:P", []),
        ("A:P,D", {"AP": 20}, "A:P", ["dna_strand_left_out"]),
        ("A,B:P", {"AP": 20, "BP": 5}, "A:P", ["loose_copy_left_out"]),
        ("A,B:P", {"AP": 20, "BP": 6}, "A,B:P", []),
        ("A,L:P", {"AP": 20}, "A,L:P", []),
        ("A,B:P,Q", {"AP": 20, "BQ": 20}, "A:P", ["one_copy"]),
        ("A,B:P,Q", {"AP": 20, "BQ": 20, "AQ": 3}, "A:P", ["one_copy"]),
        ("A,B:P,Q", {"AP": 20, "BQ": 20, "AQ": 9}, "A,B:P,Q", []),
        ("A,B:R,Q", {"AR": 20, "BQ": 20}, "B:Q", ["one_copy"]),
        ("A,L:P,Q", {"AP": 20, "LQ": 20}, "A,L:P,Q", []),
        ("A:Q", {"AP": 20, "BQ": 20}, "A:P", ["copy_in_contact"]),
        ("B:Q", {"AP": 20, "BQ": 20}, "A:P", ["first_copy"]),
        ("B,C:Q", {"AP": 20, "BQ": 20, "CQ": 20}, "B,C:Q", []),
        ("B,C:Q,D", {"AP": 20, "BQ": 20, "CQ": 1}, "A:P", ["dna_strand_left_out", "loose_copy_left_out", "first_copy"]),
    ],
)
def test_one_copy(named: str, contacts: dict[str, int], expected: str, rules: list[str]) -> None:
    chains = {name: Chain(name, kind, letters, sha256_of_text(letters)) for name, (kind, letters) in CHAINS.items()}
    entry = Entry(chains, {(pair[0], pair[1]): count for pair, count in contacts.items()})
    protein, rna = (split_chains(text) for text in named.split(":"))
    book = Book("pra310", "merge", first_order=100)
    found = one_copy_of(Complex("1abc", protein, rna, "source", {"x:1": "x"}), entry, 5, book)
    assert found.name == f"1abc:{expected}"
    assert found.measurements == {"x:1": "x"}
    assert [decision["rule"] for decision in book.decisions] == rules
