from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from copra.config import Esm2
from copra.embed import esm2
from copra.embed.language_models import load_language_model
from copra.errors import InputError

SMALL = Esm2(family="esm2", layers=6, width=320, heads=20, weights="esm2_8M")


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[dict[str, torch.Tensor], dict[str, np.ndarray], dict]:
    folder = shared / "golden"
    state = {k: torch.from_numpy(v).float() for k, v in np.load(folder / "esm2_8M_weights.npz").items()}
    return state, dict(np.load(folder / "esm2_8M_io.npz")), json.loads((folder / "esm2_8M_io.json").read_text())


def released(state: dict[str, torch.Tensor], path: Path) -> Path:
    """Write a checkpoint in the form of the released files."""
    model = argparse.Namespace(encoder_layers=6, encoder_embed_dim=320, encoder_attention_heads=20, token_dropout=True)
    tensors = {f"encoder.sentence_encoder.{k}": v for k, v in state.items() if not k.startswith("lm_head.")}
    tensors |= {f"encoder.{k}": v for k, v in state.items() if k.startswith("lm_head.")}
    tensors["encoder.lm_head.weight"] = state["embed_tokens.weight"]
    torch.save({"cfg": {"model": model}, "model": tensors}, path)
    return path


def test_alphabet_is_the_official_one(golden) -> None:
    assert esm2.alphabet().tok_to_idx == golden[2]["alphabet"]


def test_last_layer_equals_the_official_numbers(golden, tmp_path: Path) -> None:
    state, values, text = golden
    model = load_language_model(SMALL, released(state, tmp_path / "esm2.pt"))
    with torch.inference_mode():
        found = model.encoder(torch.from_numpy(values["tokens"])).numpy()
    valid = values["tokens"] != text["pad"]
    assert np.abs(found - values["rep6"])[valid].max() < 1e-4


def test_embeddings_of_strings_equal_the_official_numbers(golden, tmp_path: Path) -> None:
    state, values, text = golden
    model = load_language_model(SMALL, released(state, tmp_path / "esm2.pt"))
    plain = [i for i, sequence in enumerate(text["sequences"]) if "<" not in sequence]
    for i, array in zip(plain, model.embed([text["sequences"][i] for i in plain]), strict=True):
        assert array.shape == (len(text["sequences"][i]), 320)
        assert np.abs(array - values["rep6"][i, 1 : len(array) + 1]).max() < 1e-4


def test_official_numbers_in_any_order_and_batch(golden, tmp_path: Path) -> None:
    state, values, text = golden
    model = load_language_model(SMALL, released(state, tmp_path / "esm2.pt"))
    plain = [i for i, sequence in enumerate(text["sequences"]) if "<" not in sequence]
    for max_tokens in (1, 300, 2000, None):
        np.random.default_rng(4).shuffle(plain)
        for i, array in zip(plain, model.embed([text["sequences"][i] for i in plain], max_tokens), strict=True):
            assert np.abs(array - values["rep6"][i, 1 : len(array) + 1]).max() < 1e-4


@pytest.mark.parametrize(("layers", "width", "heads"), [(1, 24, 2), (3, 64, 4), (6, 320, 20)])
def test_the_pass_equals_that_of_fair_esm(layers: int, width: int, heads: int) -> None:
    generator = torch.Generator().manual_seed(layers)
    encoder = esm2.Esm2Encoder(layers, width, heads).eval()
    for parameter in encoder.parameters():  # biases of 0 and gains of 1 would hide a parameter that is left out
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    tokens = torch.randint(3, 33, (5, 70), generator=generator)  # all letters, <unk> and <mask>
    padded = tokens.clone()
    for row, length in enumerate((70, 1, 33, 69, 12)):
        padded[row, length:] = encoder.model.padding_idx
    padded[1, 0] = encoder.model.cls_idx  # a row of nothing but <mask> would be divided by zero, there as here
    for given in (tokens, padded):
        with torch.inference_mode():
            found = encoder(given)
            official = encoder.model(given, repr_layers=[layers])["representations"][layers]
        valid = given != encoder.model.padding_idx
        torch.testing.assert_close(found[valid], official[valid], atol=1e-5, rtol=0)


def test_parameters_keep_the_names_of_fair_esm() -> None:
    official = esm2.esm.model.esm2.ESM2(2, 32, 4, esm2.alphabet()).state_dict()
    ours = esm2.Esm2Encoder(2, 32, 4).state_dict()
    assert {f"model.{name}": value.shape for name, value in official.items()} == {k: v.shape for k, v in ours.items()}


def test_a_cut_or_wrong_checkpoint_is_refused(golden, tmp_path: Path) -> None:
    path = released(golden[0], tmp_path / "esm2.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a readable esm2 checkpoint"):
        load_language_model(SMALL, path)
    path.write_text("\n <!DOCTYPE html><title>404</title>")
    with pytest.raises(InputError, match="a web page, not a checkpoint of esm2"):
        load_language_model(SMALL, path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="not a readable esm2 checkpoint"):
        load_language_model(SMALL, path)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"unexpected model.layers.5"):
        load_language_model(SMALL.model_copy(update={"layers": 5}), path)
    with pytest.raises(InputError, match=r"states 20 attention heads, expected 10"):
        load_language_model(SMALL.model_copy(update={"heads": 10}), path)
    with pytest.raises(InputError, match=r"found .320,., expected .160,."):
        load_language_model(SMALL.model_copy(update={"width": 160}), path)
    torch.save({"layer": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="no 'model' in this file"):
        load_language_model(SMALL, path)
    with pytest.raises(InputError, match="no such file"):
        load_language_model(SMALL, tmp_path / "absent.pt")


class Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for number, writer in enumerate((torch.save, lambda value, path: path.write_bytes(pickle.dumps(value)))):
        path = tmp_path / f"evil{number}.pt"
        writer({"model": Harm(touched)}, path)
        with pytest.raises(InputError, match="not a readable"):
            load_language_model(SMALL, path)
    assert not touched.exists()
