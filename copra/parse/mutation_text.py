"""The names of mutations, such as `D210A`, `D 210 A`, `K10A,R12A` or `U7C`.

    mutations   = mutation { ( "," | ";" | "/" | "+" | "&" | space ) mutation }
    mutation    = letter number [ insertion code ] letter      wild type, author residue number, mutant

Letters are the 20 amino acids, or A, C, G and U of RNA. A, C and G alone are both; the tables name the mutated
chain of the protein, so `G12A` is glycine to alanine. What does not match is refused; nothing is guessed.
"""

from __future__ import annotations

import re

from copra.parse.affinity_text import canonical
from copra.parse.reasons import NotUnderstood

_AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
_PROTEIN = re.compile(rf"([{_AMINO_ACIDS}])(-?[0-9]+[A-Z]?)([{_AMINO_ACIDS}])")
_RNA = re.compile(r"([ACGU])(-?[0-9]+[A-Z]?)([ACGU])")


def read_mutations(text: str) -> tuple[str, str]:
    """The mutations in one spelling, comma-joined in the order of the text, and their kind; raises NotUnderstood.

    The kind is `single` (one of the protein), `multiple` (several of the protein), `rna` or `protein_and_rna`.
    """
    names = _split(canonical(text))
    kinds = [_kind(name, text) for name in names]
    residues = [re.findall(r"-?[0-9]+[A-Z]?(?=[A-Z])", name)[0] for name in names]
    if len(set(zip(kinds, residues, strict=True))) < len(names):
        raise NotUnderstood("bad_mutation", f"found {text!r}, which mutates a residue twice")
    if len(set(kinds)) > 1:
        return ",".join(names), "protein_and_rna"
    if kinds[0] == "rna":
        return ",".join(names), "rna"
    return ",".join(names), "single" if len(names) == 1 else "multiple"


def _split(text: str) -> list[str]:
    """The single mutations; spaces divide them only where every part is a whole mutation."""
    words = text.split()
    if len(words) > 1 and all(_PROTEIN.fullmatch(word) or _RNA.fullmatch(word) for word in words):
        return words
    return re.split("[,;/+&]", text.replace(" ", ""))


def _kind(name: str, text: str) -> str:
    for kind, pattern in (("protein", _PROTEIN), ("rna", _RNA)):
        match = pattern.fullmatch(name)
        if match and match.group(1) != match.group(3):
            return kind
    raise NotUnderstood("bad_mutation", f"found {text!r}, expected a form such as D210A or K10A,R12A")
