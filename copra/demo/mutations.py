"""Single mutations of the demo world: what the law says of an exchange in or outside the interface shell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copra.demo.labels import Labelled, is_expected
from copra.demo.law import POSITIVE_LETTERS, SHELL_ANGSTROM, law_dg_kcal_mol, near_residues

MUTATED_COMPLEXES = 12
NOISE_SD_KCAL_MOL = 0.2


@dataclass(frozen=True)
class Mutation:
    """One exchange; ddG in kcal/mol is mutant minus wild type, positive = weaker binding."""

    pdb_id: str
    chain: str
    name: str
    ddg_kcal_mol: float


def mutations_of(labelled: list[Labelled], rng: np.random.Generator) -> list[Mutation]:
    """For some complexes: Lys and Arg of the shell to Ala, and one residue outside the shell to Ala."""
    usable = [item for item in labelled if is_expected(item) and item.terms.positive > 0.2]
    rows: list[Mutation] = []
    for index in sorted(int(i) for i in rng.choice(len(usable), size=MUTATED_COMPLEXES, replace=False)):
        rows += _of_complex(usable[index], rng)
    return rows


def _of_complex(item: Labelled, rng: np.random.Generator) -> list[Mutation]:
    proteins = item.entry.of("protein")
    shells, _ = near_residues(proteins, item.entry.of("rna"), SHELL_ANGSTROM)
    chain, shell = next(
        (chain, shell)
        for chain, shell in zip(proteins, shells, strict=True)
        if any(chain.residues[i].letter in POSITIVE_LETTERS for i in shell)
    )
    inside = [i for i in sorted(shell) if chain.residues[i].letter in POSITIVE_LETTERS][:2]
    outside = [
        i for i, residue in enumerate(chain.residues)
        if i not in shell and residue.observed and residue.letter not in "AG" and not residue.modified
    ]  # fmt: skip
    # every shell residue stays in the shell, so a lost Lys or Arg lowers the positive fraction by 1/n
    mutant = law_dg_kcal_mol(item.terms.positive - 1 / item.terms.n_protein, item.terms.purine)
    effects = [(i, mutant - item.law_dg_kcal_mol) for i in inside]
    effects.append((outside[int(rng.integers(len(outside)))], 0.0))
    return [
        Mutation(
            item.entry.pdb_id,
            chain.name,
            f"{chain.residues[i].letter}{chain.residues[i].number}{chain.residues[i].insertion.strip('?')}A",
            round(effect + float(rng.normal(0.0, NOISE_SD_KCAL_MOL)), 2),
        )
        for i, effect in effects
    ]
