from __future__ import annotations

import threading
import time
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from copra.embed.store import read_embeddings
from copra.errors import InputError
from copra.model.coformer import AffinityModel, shape_of
from copra.structure.store import read_interfaces
from copra.tables import read_table
from copra.train.complexes import check_language_models
from copra.train.data import batches_ahead, build_sample, collate, open_complexes

CPU = torch.device("cpu")


@pytest.fixture
def ids(tiny_world) -> list[str]:
    return list(read_table(tiny_world.records, "records")["record_id"])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_read_one_at_a_time_they_are_what_they_are_read_at_once(tmp_path, tiny_world, ids, embedded, dtype) -> None:
    protein, rna = embedded(tiny_world, tmp_path, dtype)
    lazy = open_complexes(ids, interfaces=tiny_world.interfaces, protein=[protein], rna=[rna], interface_nodes=11)
    cut = read_interfaces(tiny_world.interfaces, ids)
    keys = [{key for i in cut.values() for key in (i.chain_sequence_sha256[kind],)} for kind in (0, 1)]
    by_key = [read_embeddings([path], sorted(k)) for path, k in zip((protein, rna), keys, strict=True)]
    assert lazy.lm_widths == (16, 8)
    assert lazy.weights_text == "esm2_random random:0; rinalmo_random random:0"
    for i, name in enumerate(ids):
        eager = build_sample(cut[name], 11, -9.0, *by_key)
        found = lazy.sample(i, -9.0)
        assert found.protein_lm is not None
        assert found.protein_lm.dtype == dtype
        assert lazy.sizes[i] == len(found) == len(eager)
        for field in fields(eager):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(eager, field.name))
    batch = collate([lazy.sample(i, -9.0) for i in (2, 0, 1)], CPU)
    assert batch.record_ids == [ids[2], ids[0], ids[1]]
    assert batch.protein_lm is not None
    assert batch.protein_lm.dtype == torch.float32


def test_many_threads_read_the_same(tmp_path: Path, tiny_world, ids, embedded) -> None:
    protein, rna = embedded(tiny_world, tmp_path, "float16")
    lazy = open_complexes(ids, interfaces=tiny_world.interfaces, protein=[protein], rna=[rna], interface_nodes=20)

    def make(number: int) -> torch.Tensor:
        lm = collate([lazy.sample((number + k) % len(ids), 0.0) for k in range(4)], CPU).protein_lm
        assert lm is not None
        return lm

    one, many = (list(batches_ahead(make, 40, threads)) for threads in (0, 8))
    assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))


def test_what_is_missing_is_named_when_the_files_are_opened(tmp_path: Path, tiny_world, ids, embedded) -> None:
    protein, rna = embedded(tiny_world, tmp_path, "float16")
    with pytest.raises(InputError, match=r"1 of 17 complexes .*9abc:A:B"):
        open_complexes([*ids, "9abc:A:B"], interfaces=tiny_world.interfaces, protein=[], rna=[], interface_nodes=9)
    with pytest.raises(InputError, match=r"no embedding of 16 sequences .*x0\d\d:A:B, chain A"):
        open_complexes(ids, interfaces=tiny_world.interfaces, protein=[rna], rna=[], interface_nodes=9)
    whole = protein.read_bytes()
    protein.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"esm2\.h5: not a complete file of embeddings"):
        open_complexes(ids, interfaces=tiny_world.interfaces, protein=[protein], rna=[], interface_nodes=9)


def test_an_interface_file_in_chunks_is_refused(tiny_world, ids) -> None:
    path = tiny_world.interfaces[0]
    with h5py.File(path, "r+") as file:
        values = file["nodes/chain"][()]
        del file["nodes/chain"]
        file.create_dataset("nodes/chain", data=values, chunks=(8,))
    with pytest.raises(InputError, match=r"0\.h5: /nodes/chain is compressed or in chunks"):
        open_complexes(ids, interfaces=tiny_world.interfaces, protein=[], rna=[], interface_nodes=9)


def test_the_fingerprint_sees_nodes_sequences_and_weights(tmp_path: Path, tiny_world, ids, embedded) -> None:
    protein, rna = embedded(tiny_world, tmp_path, "float16")

    def fingerprint(names: list[str], protein: list[Path], nodes: int) -> str:
        opened = open_complexes(
            names, interfaces=tiny_world.interfaces, protein=protein, rna=[rna], interface_nodes=nodes
        )
        return opened.fingerprint()

    first = fingerprint(ids, [protein], 9)
    assert first == fingerprint(ids, [protein], 9)
    others = [fingerprint(ids[1:], [protein], 9), fingerprint(ids, [], 9), fingerprint(ids, [protein], 8)]
    with h5py.File(tiny_world.interfaces[1], "r+") as file:
        file["nodes/backbone_xyz_angstrom"][0, 0, 0] += 1e-3
    others.append(fingerprint(ids, [protein], 9))
    assert len({first, *others}) == 5


def test_embeddings_of_another_model_are_refused(tmp_path: Path, tiny_world, ids, embedded, tiny_experiment) -> None:
    protein, _ = embedded(tiny_world, tmp_path, "float16")
    opened = open_complexes(ids, interfaces=tiny_world.interfaces, protein=[protein], rna=[], interface_nodes=9)
    check_language_models(opened, tiny_experiment.model_copy(update={"protein_lm": "esm2_random"}))
    wanted = {"protein_lm": "esm2_random", "rna_lm": "rinalmo_giga"}
    with pytest.raises(InputError, match="RNA embeddings of 'None', expected 'rinalmo_giga'"):
        check_language_models(opened, tiny_experiment.model_copy(update=wanted))


@pytest.mark.parametrize("preset", ["paper", "official"])
def test_a_padded_complex_gives_what_it_gives_alone(
    tmp_path: Path, tiny_world, ids, embedded, tiny_experiment, preset
) -> None:
    protein, rna = embedded(tiny_world, tmp_path, "float16")
    opened = open_complexes(ids, interfaces=tiny_world.interfaces, protein=[protein], rna=[rna], interface_nodes=30)
    experiment = tiny_experiment.model_copy(update={"preset": preset, "blocks": 3})
    torch.manual_seed(0)
    model = AffinityModel(shape_of(experiment, 8, *opened.lm_widths)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # nothing is zero only because it starts so

    def predicted(indices: list[int]) -> torch.Tensor:
        batch = collate([opened.sample(i, 0.0) for i in indices], CPU)
        with torch.no_grad():
            return model(batch.nodes, batch.protein_lm, batch.rna_lm)

    assert len(set(opened.sizes)) > 4
    together = predicted(list(range(len(ids))))
    alone = torch.cat([predicted([i]) for i in range(len(ids))])
    assert together.std() > 1e-3
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


# --- batches_ahead --------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_come_in_order_and_not_too_many_wait(threads: int) -> None:
    started: list[int] = []

    def make(number: int) -> int:
        started.append(number)
        time.sleep(0.002 * (number % 3))
        return number

    seen = []
    for value in batches_ahead(make, 20, threads):
        seen.append(value)
        assert max(started) <= value + threads + 1
    assert seen == list(range(20))
    assert list(batches_ahead(make, 0, threads)) == []


@pytest.mark.parametrize("threads", [0, 2])
def test_an_exception_comes_in_its_place(threads: int) -> None:
    def make(number: int) -> int:
        if number == 3:
            raise InputError("the fourth is bad")
        return number

    batches = batches_ahead(make, 10, threads)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match="the fourth is bad"):
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_stopping_early_ends_the_threads() -> None:
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    batches = batches_ahead(make, 1000, 2)
    assert [next(batches), next(batches)] == [0, 1]
    batches.close()
    assert len(made) <= 5
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]
