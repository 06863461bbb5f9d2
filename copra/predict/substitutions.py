"""ddG of single substitutions in one chain of a complex, in chunks, so that memory does not grow with their number."""

from __future__ import annotations

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

# Substitutions in memory at a time. The other chains are embedded anew for each chunk: a small part of its sequences
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
class Effects:
    """What the M members say of n substitutions, in kcal/mol."""

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
    """ddG = dG(mutant) - dG(wild type) of every exchange by every member, both on the wild type's backbone.

    Each mutated sequence goes once through its language model. Where the model's input is the wild type's, nothing
    is computed. Raises InputError and CopraError as the engine does.
    """
    engine.embed(case.sequences)
    wild_type = engine.sample(case.interface)
    wild_type_dg = engine.dg_kcal_mol([wild_type])[:, 0]
    ddg = np.zeros((len(wild_type_dg), len(exchanges)))
    unseen = np.zeros(len(exchanges), dtype=bool)
    size = chunk_size(engine.package, target, len(case.structure.sequences[target.index]), len(wild_type))
    starts = range(0, len(exchanges), size)
    for start in progress(starts, f"substitutions, {size} at a time", len(starts)):
        chunk = exchanges[start : start + size]
        engine.embed([*case.sequences, *((target.molecule, e.sequence) for e in chunk)])
        samples = [engine.sample(mutant_of(case.interface, target, e)) for e in chunk]
        engine.forget()
        changed = np.array([i for i, sample in enumerate(samples) if not is_same_input(sample, wild_type)], dtype=int)
        unseen[start : start + len(chunk)] = True
        unseen[start + changed] = False
        if len(changed):
            ddg[:, start + changed] = engine.dg_kcal_mol([samples[i] for i in changed]) - wild_type_dg[:, None]
    return Effects(wild_type_dg, ddg, unseen)


def mutant_of(interface: Interface, target: Target, exchange: Substitution) -> Interface:
    """The interface with the exchange in every chain that carries it."""
    key = sha256_of_text(exchange.sequence)
    return mutated_interface(interface, target.mutated, exchange.position.polymer_index, exchange.letter, key)


def is_same_input(sample: Sample, other: Sample) -> bool:
    """Whether a model cannot tell two samples of one complex apart: all their arrays are equal."""
    pairs = [(getattr(sample, field.name), getattr(other, field.name)) for field in fields(sample)]
    return all(np.array_equal(a, b) for a, b in pairs if isinstance(a, np.ndarray))


def chunk_size(package: Package, target: Target, n_residues: int, n_nodes: int) -> int:
    """Substitutions at a time: CHUNK, or fewer where their embeddings are more than CHUNK_BYTES in float32.

    `n_residues` is the length of the scanned chain, `n_nodes` the size of a sample.
    """
    used = package.language_models
    own = used.protein if target.molecule == "protein" else used.rna
    nodes_width = sum(lm.width for lm in (used.protein, used.rna) if lm)
    bytes_each = 4 * ((own.width if own else 0) * n_residues + nodes_width * n_nodes)
    return max(1, min(CHUNK, CHUNK_BYTES // max(bytes_each, 1)))


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
