"""ddG of mutants of a complex, in chunks, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from copra.files import sha256_of_text
from copra.predict.engine import Case, Engine
from copra.predict.mutated import mutated_interface
from copra.predict.package import Package
from copra.predict.positions import Position
from copra.predict.scan_page import LETTERS
from copra.progress import progress
from copra.structure.interface import Interface

if TYPE_CHECKING:  # it imports torch, which takes seconds to load
    from copra.train.samples import Sample

# Mutants in memory at a time. The other chains are embedded anew for each chunk: a small part of its sequences
CHUNK = 32
CHUNK_BYTES = 2**28  # of the embeddings of a chunk


@dataclass(frozen=True)
class Target:
    """The chain that is scanned."""

    chain: str  # author id
    index: int  # of the structure's chains
    molecule: str  # protein or rna
    mutated: tuple[str, ...]  # the chains that carry each exchange, the scanned one first
    unchanged_copies: tuple[str, ...]  # other chains of the complex with its sequence


@dataclass(frozen=True)
class Substitution:
    """One exchange and the whole mutated sequence."""

    position: Position
    letter: str
    sequence: str


@dataclass(frozen=True)
class Change:
    """One chain of a mutant with all its exchanges."""

    chain: str  # author id
    molecule: str  # protein or rna
    exchanges: tuple[tuple[int, str], ...]  # place (0-based) in the full sequence, mutant letter
    sequence: str  # the whole mutated sequence


Mutant = tuple[Change, ...]  # each changed chain once


@dataclass(frozen=True)
class Effects:
    """What the M members say of n mutants, in kcal/mol."""

    wild_type_dg_kcal_mol: npt.NDArray[np.float64]  # [M]
    ddg_kcal_mol: npt.NDArray[np.float64]  # [M, n]
    unseen: npt.NDArray[np.bool_]  # [n] the model's input is the wild type's, so that ddG is exactly 0


def substitutions(case: Case, target: Target, positions: list[Position]) -> list[Substitution]:
    """Every other letter of the molecule at every position, in the order of the page's columns."""
    text = case.structure.sequences[target.index]
    return [
        Substitution(at, letter, text[: at.polymer_index] + letter + text[at.polymer_index + 1 :])
        for at in positions
        for letter in LETTERS[target.molecule]
        if letter != at.wild_type
    ]


def effects(engine: Engine, case: Case, target: Target, exchanges: list[Substitution]) -> Effects:
    """`mutant_effects` of single substitutions."""
    return mutant_effects(engine, case, [_mutant(target, e) for e in exchanges])


def mutant_effects(engine: Engine, case: Case, mutants: Sequence[Mutant]) -> Effects:
    """ddG = dG(mutant) - dG(wild type) of every mutant by every member, both on the wild type's backbone.

    Each mutated sequence goes once through its language model. Where the model's input is the wild type's, nothing
    is computed. Raises InputError and CopraError as the engine does.
    """
    engine.embed(case.sequences)
    wild_type = engine.sample(case.interface)
    wild_type_dg = engine.dg_kcal_mol([wild_type])[:, 0]
    ddg = np.zeros((len(wild_type_dg), len(mutants)))
    unseen = np.zeros(len(mutants), dtype=bool)
    size = chunk_size(engine.package, mutants, len(wild_type))
    starts = range(0, len(mutants), size)
    for start in progress(starts, f"mutants, {size} at a time", len(starts)):
        chunk = mutants[start : start + size]
        engine.embed([*case.sequences, *((change.molecule, change.sequence) for m in chunk for change in m)])
        samples = [engine.sample(mutant_interface(case.interface, m)) for m in chunk]
        engine.forget()
        changed = np.array([i for i, sample in enumerate(samples) if not is_same_input(sample, wild_type)], dtype=int)
        unseen[start : start + len(chunk)] = True
        unseen[start + changed] = False
        if len(changed):
            ddg[:, start + changed] = engine.dg_kcal_mol([samples[i] for i in changed]) - wild_type_dg[:, None]
    return Effects(wild_type_dg, ddg, unseen)


def mutant_of(interface: Interface, target: Target, exchange: Substitution) -> Interface:
    """The interface with the exchange in every chain that carries it."""
    return mutant_interface(interface, _mutant(target, exchange))


def mutant_interface(interface: Interface, mutant: Mutant) -> Interface:
    """The interface with all exchanges of the mutant; raises InputError as `mutated_interface` does."""
    for change in mutant:
        key = sha256_of_text(change.sequence)
        for place, letter in change.exchanges:
            interface = mutated_interface(interface, [change.chain], place, letter, key)
    return interface


def _mutant(target: Target, exchange: Substitution) -> Mutant:
    exchanges = ((exchange.position.polymer_index, exchange.letter),)
    return tuple(Change(name, target.molecule, exchanges, exchange.sequence) for name in target.mutated)


def is_same_input(sample: Sample, other: Sample) -> bool:
    """Whether a model cannot tell two samples of one complex apart: all their arrays are equal."""
    pairs = [(getattr(sample, field.name), getattr(other, field.name)) for field in fields(sample)]
    return all(np.array_equal(a, b) for a, b in pairs if isinstance(a, np.ndarray))


def chunk_size(package: Package, mutants: Sequence[Mutant], n_nodes: int) -> int:
    """Mutants at a time: CHUNK, or fewer where the embeddings of the largest are more than CHUNK_BYTES in float32.

    `n_nodes` is the size of a sample.
    """
    used = package.language_models
    width = {"protein": used.protein.width if used.protein else 0, "rna": used.rna.width if used.rna else 0}
    longest = max((_embedded_values(m, width) for m in mutants), default=0)
    bytes_each = 4 * (longest + sum(width.values()) * n_nodes)
    return max(1, min(CHUNK, CHUNK_BYTES // max(bytes_each, 1)))


def _embedded_values(mutant: Mutant, width: dict[str, int]) -> int:
    """Numbers in the embeddings of the mutant's own sequences; copies of a chain share theirs."""
    return sum(width[molecule] * len(text) for molecule, text in {(c.molecule, c.sequence) for c in mutant})


def interface_places(interface: Interface, package: Package, chains: tuple[str, ...]) -> set[int]:
    """Places (0-based) in the full sequence of the chains' residues that are nodes of the model's cropped interface.

    A model of whole sequences has no crop; for it they are the nodes of the interface as it is cut for the others.
    """
    most = package.structures.interface_nodes
    if package.experiment.nodes == "interface":
        most = min(most, package.experiment.interface_nodes)
    nearest = np.argsort(interface.partner_distance_angstrom, kind="stable")[:most]
    own = [interface.chain_ids.index(name) for name in chains]
    return set(interface.polymer_index[nearest][np.isin(interface.chain[nearest], own)].tolist())
