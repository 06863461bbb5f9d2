"""A model package made ready to predict: structure file -> interface -> sample -> dG of every member.

PyTorch is imported where it is first needed, so that a file which is no complex is refused at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from copra.errors import InputError
from copra.predict.chains import choose_complex
from copra.predict.embedding import MOLECULES, Embedder
from copra.predict.inputs import open_structure
from copra.predict.package import Package
from copra.predict.result import ChosenComplex
from copra.structure.interface import Interface, cut_interface
from copra.structure.residues import PROTEIN, RNA, Structure

if TYPE_CHECKING:  # torch takes seconds to load
    import torch

    from copra.predict.members import Members
    from copra.train.samples import Sample


@dataclass(frozen=True)
class Case:
    """One complex of a file; `warnings` are those of reading the file, those of the chains stand in `chosen`."""

    structure: Structure
    chosen: ChosenComplex
    interface: Interface
    warnings: tuple[str, ...]

    @property
    def sequences(self) -> list[tuple[str, str]]:
        """(molecule, letters) of every chain of the complex, proteins first; what `Engine.embed` wants."""
        letters = dict(zip(self.structure.chain_ids, self.structure.sequences, strict=True))
        sides = (self.chosen.protein_chains, self.chosen.rna_chains)
        return [(molecule, letters[name]) for molecule, side in zip(MOLECULES, sides, strict=True) for name in side]


class Engine:
    """The members of a package and the language models that they read."""

    def __init__(self, package: Package, weights: dict[str, Path], device: torch.device | str | None) -> None:
        """`weights` are checkpoint files by the name of their language model; device None: a GPU where there is one.

        Raises InputError, which names the language model and the sum that is needed, where a checkpoint is missing,
        another one, or of a language model that the package does not read.
        """
        self.package = package
        self._device = device
        self._embedder = Embedder(package, weights)

    @cached_property
    def members(self) -> Members:
        """The models, loaded when they are first asked for; raises InputError where a file is no model."""
        from copra.predict.members import Members

        return Members(self.package, self._device)

    def case(self, path: Path, protein: list[str] | None, rna: list[str] | None, model: int | None) -> Case:
        """Read a file, choose the complex and cut its interface; the arguments are those of the command line.

        Raises InputError, one line with the file's name, as `open_structure` and `choose_complex` do.
        """
        structure, _, warnings = open_structure(path, model)
        told = self.package.structures
        chosen = choose_complex(structure, path, protein, rna, told.contact_cutoff_angstrom, self.package.limits())
        sides = list(chosen.protein_chains), list(chosen.rna_chains)
        interface = cut_interface(structure, chosen.complex_id, *sides, told.interface_nodes)
        return Case(structure, chosen, interface, tuple(warnings))

    def embed(self, sequences: Iterable[tuple[str, str]]) -> None:
        """Take (molecule `protein` or `rna`, letters); each distinct sequence goes once through its language model.

        Kept by sha256 until `forget`. Without a language model of that molecule the letters alone are kept.
        """
        self._embedder.embed(sequences)

    def forget(self) -> None:
        """Release what `embed` kept."""
        self._embedder.forget()

    @property
    def n_kept_residues(self) -> int:
        """Residues whose embeddings or letters are kept."""
        return sum(len(text) for known in self._embedder.letters.values() for text in known.values())

    def sample(self, interface: Interface) -> Sample:
        """The interface, or the whole sequences of its chains, as the members see them; its label is NaN.

        Raises InputError where a chain's sequence was not embedded.
        """
        from copra.train.samples import build_sample

        kinds = self._molecules(interface)
        if self.package.experiment.nodes == "sequences":
            return self._sequence_sample(interface, kinds)
        protein, rna = (self._embedder.by_key[molecule] for molecule in MOLECULES)
        return build_sample(interface, self.package.experiment.interface_nodes, float("nan"), protein, rna)

    def _molecules(self, interface: Interface) -> list[int]:
        """PROTEIN or RNA of each chain; one that has no node in the crop is of the molecule it was embedded as."""
        kinds = []
        for i, (name, key) in enumerate(zip(interface.chain_ids, interface.chain_sequence_sha256, strict=True)):
            told = interface.molecule[interface.chain == i][:1].tolist() or [PROTEIN, RNA]
            known = [kind for kind in told if key in self._embedder.letters[MOLECULES[kind]]]
            if not known:
                raise InputError(f"{interface.complex_id}: the sequence of chain {name} ({key}) was not embedded")
            kinds.append(known[0])
        return kinds

    def _sequence_sample(self, interface: Interface, kinds: list[int]) -> Sample:
        """All residues of all chains, as the training of models that read whole sequences has them."""
        from copra.model.pair_features import N_SPECIAL
        from copra.train.complexes import Embeddings
        from copra.train.sequences import Chain, Sequences

        kept = self._embedder
        keys = zip(kinds, interface.chain_sequence_sha256, strict=True)
        chains = [Chain(kind, kept.letters[MOLECULES[kind]][key], key) for kind, key in keys]
        found = [kept.by_key[molecule] for molecule in MOLECULES]
        protein, rna = (None if by_key is None else Embeddings(by_key, {}) for by_key in found)
        n_nodes = sum(len(chain.letters) for chain in chains) + N_SPECIAL
        return Sequences([interface.complex_id], [n_nodes], [chains], (protein, rna)).sample(0, float("nan"))

    def dg_kcal_mol(self, samples: list[Sample]) -> np.ndarray:
        """dG of every sample by every member, float64 [members, samples], in batches of like size.

        Raises CopraError where a number is not finite.
        """
        return self.members.dg_kcal_mol(samples)
