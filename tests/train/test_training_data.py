from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from copra.errors import InputError
from copra.model.pair_features import PADDING_TYPE
from copra.train.data import build_sample, collate, evaluation_batches, fingerprint_samples, training_batches


@pytest.fixture
def interface(interface_maker):
    return interface_maker("x:A:B", np.random.default_rng(0), 9, 5)


def test_special_nodes_stand_in_front_at_the_centres(interface) -> None:
    sample = build_sample(interface, 96, -9.0, None, None)
    assert sample.residue_type[:3].tolist() == [26, 27, 28]
    assert len(sample) == 17
    shift = interface.centres_angstrom[1] - interface.centres_angstrom[0]
    assert np.allclose(sample.xyz_angstrom[1], shift[None].repeat(4, 0), atol=1e-5)
    assert np.allclose(sample.xyz_angstrom[0], 0)
    moved = interface.backbone_xyz_angstrom - interface.centres_angstrom[0]
    assert np.allclose(sample.xyz_angstrom[3:], moved, atol=1e-5)


def test_a_smaller_crop_keeps_the_nearest_in_their_order(interface) -> None:
    sample = build_sample(interface, 6, -9.0, None, None)
    nearest = sorted(np.argsort(interface.partner_distance_angstrom, kind="stable")[:6])
    assert sample.residue_type[3:].tolist() == interface.residue_type[nearest].tolist()
    assert sample.polymer_index[3:].tolist() == interface.polymer_index[nearest].tolist()


def test_embeddings_come_to_their_residues(interface) -> None:
    protein = {interface.chain_sequence_sha256[0]: np.arange(9 * 2, dtype=np.float32).reshape(9, 2) + 1}
    rna = {interface.chain_sequence_sha256[1]: np.arange(5 * 3, dtype=np.float32).reshape(5, 3) + 100}
    sample = build_sample(interface, 10, -9.0, protein, rna)
    assert sample.protein_lm is not None
    assert sample.rna_lm is not None
    for row in range(len(sample)):
        molecule, index = sample.molecule[row], sample.polymer_index[row]
        assert sample.protein_lm[row].tolist() == ([2 * index + 1, 2 * index + 2] if molecule == 0 else [0, 0])
        assert sample.rna_lm[row, 0] == (3 * index + 100 if molecule == 1 else 0)
    short = {interface.chain_sequence_sha256[0]: np.zeros((3, 2), np.float32)}
    with pytest.raises(InputError, match=r"x:A:B: chain A .* its embedding only 3 rows"):
        build_sample(interface, 96, -9.0, short, rna)


def test_a_bad_interface_is_named(interface) -> None:
    xyz = interface.backbone_xyz_angstrom.copy()
    xyz[2, 1] = np.nan
    with pytest.raises(InputError, match="x:A:B"):
        build_sample(replace(interface, backbone_xyz_angstrom=xyz), 96, -9.0, None, None)
    mask = interface.backbone_mask.copy()
    mask[2, 1] = False  # an absent atom may hold anything
    build_sample(replace(interface, backbone_xyz_angstrom=xyz, backbone_mask=mask), 96, -9.0, None, None)


def test_collate_pads(interface, interface_maker) -> None:
    other = interface_maker("y:A:B", np.random.default_rng(1), 4, 3)
    samples = [build_sample(i, 96, -9.0, None, None) for i in (interface, other)]
    batch = collate(samples, torch.device("cpu"))
    assert batch.record_ids == ["x:A:B", "y:A:B"]
    assert batch.nodes.residue_type.shape == (2, 17)
    assert (batch.nodes.residue_type[1, 10:] == PADDING_TYPE).all()
    assert not batch.nodes.valid[1, 10:].any()
    assert batch.nodes.valid[1, :10].all()


def test_batches_hold_every_sample_once_and_follow_seed_and_epoch() -> None:
    sizes = [int(s) for s in np.random.default_rng(0).integers(10, 200, 50)]
    first = training_batches(sizes, 8, seed=1, epoch=3)
    assert sorted(i for batch in first for i in batch) == list(range(50))
    assert max(map(len, first)) == 8
    assert first == training_batches(sizes, 8, seed=1, epoch=3)
    assert first != training_batches(sizes, 8, seed=1, epoch=4)
    assert first != training_batches(sizes, 8, seed=2, epoch=3)

    def padding(batches: list[list[int]]) -> int:
        return sum(max(sizes[i] for i in b) * len(b) - sum(sizes[i] for i in b) for b in batches)

    unsorted = [list(range(i, min(i + 8, 50))) for i in range(0, 50, 8)]
    assert padding(first) < padding(unsorted) / 2
    assert sorted(i for batch in evaluation_batches(sizes, 8) for i in batch) == list(range(50))


def test_fingerprint_sees_every_value(interface) -> None:
    sample = build_sample(interface, 96, -9.0, None, None)
    other = build_sample(interface, 96, -9.1, None, None)
    moved = replace(sample, xyz_angstrom=sample.xyz_angstrom + np.float32(1e-3))
    assert len({fingerprint_samples([s]) for s in (sample, other, moved)}) == 3
    assert fingerprint_samples([sample]) == fingerprint_samples([build_sample(interface, 96, -9.0, None, None)])
