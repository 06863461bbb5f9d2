from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from copra.config import Rinalmo
from copra.embed import rinalmo
from copra.embed.language_models import load_language_model
from copra.errors import InputError

NANO = Rinalmo(family="rinalmo", layers=6, width=320, heads=20, weights="rinalmo_nano")


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[dict[str, torch.Tensor], dict[str, np.ndarray], dict]:
    folder = shared / "golden"
    state = {k: torch.from_numpy(v).float() for k, v in np.load(folder / "rinalmo_nano_weights.npz").items()}
    return (
        state,
        dict(np.load(folder / "rinalmo_nano_io.npz")),
        json.loads((folder / "rinalmo_nano_io.json").read_text()),
    )


def flash_layout(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The key layout of the released checkpoints."""
    flash = {k.replace("mh_attn.mh_attn.", "mh_attn."): v for k, v in state.items() if not k.endswith("inv_freq")}
    for stem in [k.removesuffix("to_q.weight") for k in flash if k.endswith("to_q.weight")]:
        flash[f"{stem}Wqkv.weight"] = torch.cat([flash.pop(f"{stem}to_{part}.weight") for part in "qkv"])
    return flash


def test_alphabet_and_tokens_are_the_official_ones(golden) -> None:
    _, values, text = golden
    assert text["alphabet"] == rinalmo.TOKEN
    for sequence, row in zip(text["sequences"], values["tokens"], strict=True):
        ids = rinalmo.tokenize(sequence)
        assert ids == row[: len(ids)].tolist()


@pytest.mark.parametrize("layout", ["separate", "flash"])
def test_representation_and_logits_equal_the_official_numbers(golden, layout: str) -> None:
    state, values, _ = golden
    encoder = rinalmo.RinalmoEncoder(6, 320, 20)
    given = state if layout == "separate" else flash_layout(state)
    encoder.load_state_dict(rinalmo.official_state(given), strict=True)
    with torch.inference_mode():
        representation = encoder.eval()(torch.from_numpy(values["tokens"]))
        logits = encoder.logits(representation)
    valid = values["mask_valid"]
    assert np.abs(representation.numpy() - values["representation"])[valid].max() < 1e-4
    assert np.abs(logits.numpy() - values["logits"])[valid].max() < 1e-4


def test_a_checkpoint_file_gives_the_official_numbers(golden, tmp_path: Path) -> None:
    state, values, text = golden
    path = tmp_path / "nano.pt"
    torch.save(flash_layout(state), path)
    model = load_language_model(NANO, path)
    assert model.weights.startswith("sha256:")
    for i, array in enumerate(model.embed(text["sequences"])):
        assert array.shape == (len(text["sequences"][i]), 320)
        assert np.abs(array - values["representation"][i, 1 : len(array) + 1]).max() < 1e-4


def test_official_numbers_in_any_order_and_batch(golden, tmp_path: Path) -> None:
    state, values, text = golden
    torch.save(state, tmp_path / "nano.pt")
    model = load_language_model(NANO, tmp_path / "nano.pt")
    order = list(range(len(text["sequences"])))
    for max_tokens in (1, 250, None):
        np.random.default_rng(4).shuffle(order)
        for i, array in zip(order, model.embed([text["sequences"][i] for i in order], max_tokens), strict=True):
            assert np.abs(array - values["representation"][i, 1 : len(array) + 1]).max() < 1e-4


def test_a_wrong_checkpoint_is_refused_with_the_names_of_its_tensors(golden, tmp_path: Path) -> None:
    state = flash_layout(golden[0])
    state["stranger.weight"] = state.pop("transformer.blocks.3.out_layer_norm.bias")
    path = tmp_path / "wrong.pt"
    torch.save(state, path)
    with pytest.raises(InputError) as caught:
        load_language_model(NANO, path)
    assert "missing transformer.blocks.3.out_layer_norm.bias" in str(caught.value)
    assert "unexpected stranger.weight" in str(caught.value)
    torch.save(flash_layout(golden[0]), path)
    with pytest.raises(InputError, match=r"unexpected transformer.blocks.5"):
        load_language_model(NANO.model_copy(update={"layers": 5}), path)
    with pytest.raises(InputError, match=r"found .22, 320., expected .22, 160."):
        load_language_model(NANO.model_copy(update={"width": 160}), path)
    torch.save(golden[0], path)
    if any(name.endswith(".inv_freq") for name in golden[0]):
        with pytest.raises(InputError, match=r"8 frequencies, expected 16 for 10 heads"):
            load_language_model(NANO.model_copy(update={"heads": 10}), path)


@pytest.mark.parametrize("layout", ["separate", "flash"])
def test_half_a_layout_is_refused(golden, tmp_path: Path, layout: str) -> None:
    state = dict(golden[0]) if layout == "separate" else flash_layout(golden[0])
    lost = "mh_attn.mh_attn.to_k.weight" if layout == "separate" else "mh_attn.Wqkv.weight"
    del state[f"transformer.blocks.2.{lost}"]
    torch.save(state, tmp_path / "half.pt")
    with pytest.raises(InputError, match=r"missing transformer.blocks.2.mh_attn.Wqkv.weight"):
        load_language_model(NANO, tmp_path / "half.pt")


def test_numbers_equal_those_of_the_official_package() -> None:
    # the package asks for flash-attn when imported, which most machines lack
    official = pytest.importorskip("rinalmo.model.model", exc_type=ImportError)
    configuration = pytest.importorskip("rinalmo.config", exc_type=ImportError).model_config("nano")
    configuration.model.transformer.use_flash_attn = False
    theirs = official.RiNALMo(configuration).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    ours = rinalmo.RinalmoEncoder(6, 320, 20).eval()
    ours.load_state_dict(rinalmo.official_state(theirs.state_dict()), strict=True)
    tokens = torch.randint(3, 22, (4, 60), generator=generator)
    tokens[:, 0] = rinalmo.CLS
    for row, length in enumerate((60, 2, 31, 59)):
        tokens[row, length:] = rinalmo.PAD
    valid = tokens != rinalmo.PAD
    with torch.inference_mode():
        expected = theirs(tokens)
        found = ours(tokens)
        logits = ours.logits(found)
    torch.testing.assert_close(found[valid], expected["representation"][valid], atol=1e-4, rtol=0)
    torch.testing.assert_close(logits[valid], expected["logits"][valid], atol=1e-4, rtol=0)
