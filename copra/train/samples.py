"""One complex as Co-Former sees it, with the three special nodes in front."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from copra.errors import InputError
from copra.model.pair_features import BACKBONE_ATOMS, COMPLEX_TYPE, N_SPECIAL, PROTEIN_TYPE, RNA_TYPE
from copra.structure.interface import Interface

PROTEIN, RNA = 0, 1


class SampleSet(Protocol):
    """What a model is trained on and predicts, one sample at a time; see copra/train/complexes.py."""

    @property
    def ids(self) -> list[str]:
        """Their names."""

    @property
    def sizes(self) -> list[int]:
        """Nodes of each, the special ones included."""

    def __len__(self) -> int: ...

    def sample(self, i: int, label: float) -> Sample:
        """Sample i with its label."""

    @property
    def lm_widths(self) -> tuple[int, int]:
        """Width of the protein and of the RNA language model's embeddings, 0 without."""

    @property
    def language_models(self) -> tuple[str | None, str | None]:
        """Names of the protein and the RNA language model."""

    @property
    def weights_text(self) -> str:
        """Where the embeddings come from."""

    def fingerprint(self) -> str:
        """A digest of all that a sample may hold."""


@dataclass(frozen=True)
class Sample:
    """One complex of n residues; arrays have n + 3 rows, special nodes first. `label` is dG in kcal/mol."""

    record_id: str
    label: float
    residue_type: np.ndarray  # int64
    molecule: np.ndarray  # int64, -1 at special nodes
    chain: np.ndarray  # int64, -1 at special nodes
    polymer_index: np.ndarray  # int64
    xyz_angstrom: np.ndarray  # float32 [n + 3, 4, 3], the interface's centre at the origin
    atom_mask: np.ndarray  # bool [n + 3, 4]
    protein_lm: np.ndarray | None  # [n + 3, width] as stored, zero where the row is no protein residue
    rna_lm: np.ndarray | None

    def __len__(self) -> int:
        return len(self.residue_type)


def build_sample(
    interface: Interface,
    interface_nodes: int,
    label: float,
    protein_embeddings: dict[str, np.ndarray] | None,
    rna_embeddings: dict[str, np.ndarray] | None,
) -> Sample:
    """One complex with its label in kcal/mol; embeddings are by sequence sha256, None without that language model.

    Of a larger interface the `interface_nodes` residues nearest to the partner molecule are kept, in their order.
    Raises InputError where an interface is empty, a coordinate is not finite or an embedding does not fit.
    """
    if len(interface.residue_type) == 0:
        raise InputError(f"{interface.complex_id}: an interface without residues")
    nearest = np.argsort(interface.partner_distance_angstrom, kind="stable")[:interface_nodes]
    keep = np.sort(nearest)
    origin = interface.centres_angstrom[0]
    atom_mask = interface.backbone_mask[keep]
    xyz = np.where(atom_mask[..., None], interface.backbone_xyz_angstrom[keep] - origin, 0.0)
    centres = np.repeat((interface.centres_angstrom - origin)[:, None], BACKBONE_ATOMS, axis=1)
    if not (np.isfinite(xyz).all() and np.isfinite(centres).all()):
        raise InputError(f"{interface.complex_id}: the interface holds a coordinate that is not finite")
    special = np.full(N_SPECIAL, -1)
    return Sample(
        record_id=interface.complex_id,
        label=label,
        residue_type=np.concatenate(([COMPLEX_TYPE, PROTEIN_TYPE, RNA_TYPE], interface.residue_type[keep])).astype(
            np.int64
        ),
        molecule=np.concatenate((special, interface.molecule[keep])).astype(np.int64),
        chain=np.concatenate((special, interface.chain[keep])).astype(np.int64),
        polymer_index=np.concatenate((special, interface.polymer_index[keep])).astype(np.int64),
        xyz_angstrom=np.concatenate((centres, xyz)).astype(np.float32),
        atom_mask=np.concatenate((np.ones((N_SPECIAL, BACKBONE_ATOMS), bool), atom_mask)),
        protein_lm=_node_embeddings(interface, keep, PROTEIN, protein_embeddings),
        rna_lm=_node_embeddings(interface, keep, RNA, rna_embeddings),
    )


def _node_embeddings(
    interface: Interface, keep: np.ndarray, molecule: int, by_key: dict[str, np.ndarray] | None
) -> np.ndarray | None:
    """Rows of the chains' embeddings at the kept residues of one molecule, [n + 3, width]."""
    if by_key is None:
        return None
    like = next(iter(by_key.values()))
    rows = np.zeros((len(keep) + N_SPECIAL, like.shape[1]), dtype=like.dtype)
    own = interface.molecule[keep] == molecule
    for chain in np.unique(interface.chain[keep][own]):
        name, key = interface.chain_ids[chain], interface.chain_sequence_sha256[chain]
        here = np.flatnonzero(own & (interface.chain[keep] == chain))
        index = interface.polymer_index[keep][here]
        if key not in by_key:
            raise InputError(f"{interface.complex_id}: no embedding of chain {name} ({key})")
        if index.max() >= len(by_key[key]):
            raise InputError(
                f"{interface.complex_id}: chain {name} has a residue at position {index.max()} of its sequence, "
                f"its embedding only {len(by_key[key])} rows"
            )
        rows[here + N_SPECIAL] = by_key[key][index]
    return rows


def fingerprint_samples(samples: list[Sample]) -> str:
    """sha256 over everything that the samples hold, in their order."""
    digest = hashlib.sha256()
    for sample in samples:
        for field in fields(sample):
            value = getattr(sample, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"{field.name} {value.dtype} {value.shape}".encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(f"{field.name} {value!r}".encode())
    return digest.hexdigest()
