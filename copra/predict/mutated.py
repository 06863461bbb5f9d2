"""The interface of a mutant: the wild type's backbone, another residue type, another full sequence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from copra.errors import InputError
from copra.structure.interface import Interface
from copra.structure.residues import PROTEIN, PROTEIN_LETTERS, RNA_LETTERS, type_index


def mutated_interface(
    interface: Interface, chains: Collection[str], polymer_index: int, letter: str, new_sha256: str
) -> Interface:
    """The interface with one residue exchanged in each of `chains` (author ids); the given one stays as it is.

    `polymer_index` is the 0-based place in the chains' full sequence, `letter` the mutant, `new_sha256` the sum of
    the whole mutated sequence, by which its embedding is found. Nodes, coordinates, distances and the buried area
    are the wild type's: no side chain is built. A residue that is no node changes the sequence alone. For several
    exchanges the calls are chained, each with the sum of the sequence that has all of them.

    Raises InputError for a chain that is not of the complex and a letter that is not of the chain's molecule.
    """
    sums, types = list(interface.chain_sequence_sha256), interface.residue_type.copy()
    for name in chains:
        if name not in interface.chain_ids:
            there = ", ".join(interface.chain_ids)
            raise InputError(f"{interface.complex_id}: found no chain {name} to mutate, expected one of {there}")
        chain = interface.chain_ids.index(name)
        sums[chain] = new_sha256
        for node in np.flatnonzero((interface.chain == chain) & (interface.polymer_index == polymer_index)):
            is_protein = bool(interface.molecule[node] == PROTEIN)
            letters = PROTEIN_LETTERS if is_protein else RNA_LETTERS
            if len(letter) != 1 or letter not in letters:
                kind = "protein" if is_protein else "RNA"
                raise InputError(
                    f"{interface.complex_id}: found the mutant {letter!r} for {kind} chain {name}, "
                    f"expected one letter of {letters}"
                )
            types[node] = type_index(letter, is_protein)
    return replace(interface, chain_sequence_sha256=tuple(sums), residue_type=types)
