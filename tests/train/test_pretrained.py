from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pair_world import make_pair_world, tiny_recipe
from safetensors.torch import load_file, save_file

from copra.config import Architecture, Coformer
from copra.errors import InputError
from copra.model.coformer import AffinityModel, shape_of
from copra.structure.store import interface_ids
from copra.tables import read_table
from copra.train.finetune import train_fold
from copra.train.pretrain import pretrain
from copra.train.pretrained import architecture_text, read_pretrained

NO_LM = "no language model"


@pytest.fixture
def starting(tiny_experiment: Coformer) -> Coformer:
    """An experiment that starts from a pre-trained model and hardly moves away from it."""
    return tiny_experiment.model_copy(update={"pretrained": "cpri", "epochs": 1, "learning_rate": 1e-9})


def write_pretrained(folder: Path, experiment: Coformer, **told: Any) -> Path:
    """What `copra pretrain` leaves behind: Co-Former's weights among others, and model.json."""
    torch.manual_seed(5)
    model = AffinityModel(shape_of(experiment, 8, 0, 0))
    tensors = {f"coformer.{name}": tensor for name, tensor in model.coformer.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors | {"distance_head.weight": torch.zeros(40, 4)}, folder / "model.safetensors")
    values = {
        "recipe": "cpri",
        "scope": "fold_1",
        "purged": "relatives of the test fold",
        "settings": experiment.model_dump(),
        "language_models": NO_LM,
        "protein_lm_width": 0,
        "rna_lm_width": 0,
    }
    (folder / "model.json").write_text(json.dumps(values | told))
    return folder / "model.safetensors"


def run(world, folder: Path, experiment: Coformer, pretrained: Path | None) -> None:
    train_fold(
        world.records, folds=world.folds, fold=1, method="cd_hit", seed=7, name="tiny", experiment=experiment,
        interfaces=world.interfaces, protein_embeddings=[], rna_embeddings=[], pretrained=pretrained,
        checkpoint=folder / "checkpoint", history=folder / "history.jsonl", out=folder / "predictions.parquet",
    )  # fmt: skip


def test_training_starts_from_the_weights_and_says_so(tmp_path: Path, tiny_world, starting) -> None:
    path = write_pretrained(tmp_path / "fold_1", starting)
    run(tiny_world, tmp_path / "a", starting, path)
    before, after = load_file(path), load_file(tmp_path / "a/checkpoint/model.safetensors")
    for name, tensor in before.items():
        if name.startswith("coformer."):
            torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6)
    assert {name.split(".")[0] for name in after} == {"coformer", "head"}
    found = read_table(tmp_path / "a/predictions.parquet", "predictions")
    assert set(found["architecture"]) == {"official pre-trained by cpri"}
    told = json.loads((tmp_path / "a/checkpoint/model.json").read_text())
    assert told["architecture"] == "official pre-trained by cpri"
    assert told["pretrained"]["scope"] == "fold_1"
    assert len(told["pretrained"]["sha256"]) == 64


def test_what_pretrain_writes_is_what_fine_tuning_reads(tmp_path: Path, tiny_world, starting, interface_maker) -> None:
    recipe = tiny_recipe(epochs=1, distance="interface")
    pairs = make_pair_world(tmp_path / "pairs", interface_maker, 24, seed=2)
    sizes = {name: getattr(recipe, name) for name in Architecture.model_fields}
    experiment = starting.model_copy(update=sizes)
    kept = tmp_path / "kept.txt"
    kept.write_text("".join(f"{name}\n" for name in interface_ids(pairs.interfaces)))
    for scope, others in (("fold_1", {"kept": kept}), ("all", {})):
        folder = tmp_path / scope
        pretrain(**pairs.arguments(folder, recipe, name="cpri", scope=scope, **others))
        run(tiny_world, tmp_path / "fine" / scope, experiment, folder / "model.safetensors")
        found = read_table(tmp_path / "fine" / scope / "predictions.parquet", "predictions")
        seen = " (which saw relatives of the tested complexes)" if scope == "all" else ""
        assert set(found["architecture"]) == {f"official pre-trained by cpri{seen}"}


def test_other_pretrained_weights_are_another_run(tmp_path: Path, tiny_world, starting, caplog) -> None:
    path = write_pretrained(tmp_path / "fold_1", starting)
    run(tiny_world, tmp_path / "a", starting, path)
    tensors = load_file(path)
    tensors["coformer.mask_token"] += 1
    save_file(tensors, path)
    caplog.clear()
    run(tiny_world, tmp_path / "a", starting, path)
    assert "starting anew" in caplog.text


def test_a_model_that_saw_relatives_is_called_so(tmp_path: Path, starting) -> None:
    path = write_pretrained(tmp_path / "all", starting, scope="all", purged="nothing")
    found = read_pretrained(path, starting, (0, 0), NO_LM, fold=3)
    assert architecture_text(starting, found) == (
        "official pre-trained by cpri (which saw relatives of the tested complexes)"
    )
    assert architecture_text(starting, None) == "official"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"scope": "fold_0"}, "scope 'fold_0', purged of relatives of the test fold; expected 'fold_1'"),
        ({"scope": "all"}, "scope 'all', purged of relatives"),
        ({"purged": "nothing"}, "scope 'fold_1', purged of nothing"),
        ({"recipe": "dm"}, "recipe 'dm', expected 'cpri'"),
        ({"language_models": "esm2_650M sha256:ab"}, "language models 'esm2_650M sha256:ab', expected 'no language"),
        ({"protein_lm_width": 1280}, "protein_lm_width 1280, expected 0"),
    ],
)
def test_another_pretraining_is_refused(tmp_path: Path, starting, told: dict[str, Any], message: str) -> None:
    path = write_pretrained(tmp_path / "p", starting, **told)
    with pytest.raises(InputError, match=r"model\.safetensors") as refused:
        read_pretrained(path, starting, (0, 0), NO_LM, fold=1)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"blocks": 2}, "blocks 2, expected 1"),
        ({"pair_width": 8}, "pair_width 8, expected 4"),
        ({"preset": "paper"}, "design 'paper', expected 'official'"),
    ],
)
def test_another_architecture_is_refused(tmp_path: Path, starting, changed: dict[str, Any], message: str) -> None:
    path = write_pretrained(tmp_path / "p", starting.model_copy(update=changed))
    with pytest.raises(InputError, match=message):
        read_pretrained(path, starting, (0, 0), NO_LM, fold=1)


def test_files_that_do_not_fit_are_refused(tmp_path: Path, starting, tiny_experiment) -> None:
    path = write_pretrained(tmp_path / "p", starting)
    with pytest.raises(InputError, match=r"starts from 'cpri', the file given is 'None'"):
        read_pretrained(None, starting, (0, 0), NO_LM, fold=1)
    with pytest.raises(InputError, match=r"starts from 'None', the file given is "):
        read_pretrained(path, tiny_experiment, (0, 0), NO_LM, fold=1)
    tensors = load_file(path)
    extra = tensors.pop("coformer.mask_token")
    save_file(tensors | {"coformer.other": extra}, path)
    start = read_pretrained(path, starting, (0, 0), NO_LM, fold=1)
    assert start is not None
    with pytest.raises(InputError, match=r"2 weights do not fit Co-Former: mask_token: found None, expected \(4,\)"):
        start.put_into(AffinityModel(shape_of(starting, 8, 0, 0)).coformer)
    path.write_bytes(b"no safetensors")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        read_pretrained(path, starting, (0, 0), NO_LM, fold=1)
    path.with_name("model.json").write_text("{}")
    with pytest.raises(InputError, match=r"model\.json: does not describe a pre-trained model; lacks \['recipe'"):
        read_pretrained(path, starting, (0, 0), NO_LM, fold=1)
