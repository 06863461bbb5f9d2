from __future__ import annotations

import dataclasses
import hashlib
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from copra.config import Esm2, Rinalmo
from copra.embed.language_models import LanguageModel, autocast_dtype, load_language_model, precision
from copra.embed.windows import cut
from copra.errors import CopraError, InputError

ESM = Esm2(family="esm2", layers=3, width=64, heads=4, weights="random:5")
RNA = Rinalmo(family="rinalmo", layers=3, width=64, heads=4, weights="random:5")
LETTERS = {"esm2": "ARNDCQEGHILKMFPSTWYVX", "rinalmo": "ACGUN"}
BOTH = pytest.mark.parametrize("settings", [ESM, RNA], ids=["esm2", "rinalmo"])


def stirred(settings: Esm2 | Rinalmo) -> LanguageModel:
    """A random model whose biases and gains are not 0 and 1, so that each of them counts."""
    model = load_language_model(settings, None)
    generator = torch.Generator().manual_seed(9)
    for parameter in model.encoder.parameters():
        parameter += 0.1 * torch.randn(parameter.shape, generator=generator).to(parameter.device)
    return model


def sequence(settings: Esm2 | Rinalmo, length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list(LETTERS[settings.family]), length))


def checkpoint(settings: Esm2 | Rinalmo, path: Path) -> Esm2 | Rinalmo:
    """Write random weights in the form of the released files; the settings that name them."""
    state = load_language_model(settings, None).encoder.state_dict()
    if isinstance(settings, Esm2):
        state = {f"encoder.sentence_encoder.{k.removeprefix('model.')}": v for k, v in state.items()}
        torch.save({"model": {k.replace("sentence_encoder.lm_head", "lm_head"): v for k, v in state.items()}}, path)
    else:
        torch.save(state, path)
    return settings.model_copy(update={"weights": "named"})


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- letters ------------------------------------------------------------------------------------------


@BOTH
def test_case_does_not_matter(settings) -> None:
    model, text = stirred(settings), sequence(settings, 40)
    upper, lower = model.embed([text]), model.embed([text.lower()])
    np.testing.assert_array_equal(upper[0], lower[0])


def test_t_is_read_as_u_in_rna_and_as_threonine_in_proteins() -> None:
    np.testing.assert_array_equal(*(stirred(RNA).embed([text])[0] for text in ("GGUUACU", "ggttact")))
    threonine, selenocysteine = stirred(ESM).embed(["MKTA", "MKUA"])
    assert np.abs(threonine - selenocysteine).max() > 1e-2


@BOTH
@pytest.mark.parametrize("text", ["X", "N", "-", "XXXX", "N-XN", "A*?_1é", "<mask>", " "])
def test_unknown_letters_have_a_row_each(settings, text: str) -> None:
    array = stirred(settings).embed([text])[0]
    assert array.shape == (len(text), 64)
    assert array.dtype == np.float32
    assert np.isfinite(array).all()


@BOTH
def test_letters_unknown_to_the_model_are_read_alike(settings) -> None:
    found = stirred(settings).embed(["A*G", "A?G", "AéG", "A#G"])
    for array in found[1:]:
        np.testing.assert_allclose(array, found[0], atol=1e-6)


# --- rows ---------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("length", [1, 2, 77])
def test_rows_are_the_residues_without_start_and_end_tokens(settings, length: int) -> None:
    model = stirred(settings)
    text, longer = sequence(settings, length), sequence(settings, length + 30, seed=1)
    row = model.tokenize(text)
    assert len(row) == length + 2
    with torch.inference_mode():
        every = model.encoder(torch.tensor([row], device=model.device))[0].cpu().numpy()
    assert every.shape == (length + 2, 64)
    found = model.embed([longer, text])[1]  # padded behind: the end token is not the last column
    assert found.shape == (length, 64)
    np.testing.assert_allclose(found, every[1:-1], atol=1e-5)


@BOTH
def test_neighbours_order_and_padding_do_not_matter(settings) -> None:
    model = stirred(settings)
    texts = [sequence(settings, n, seed=n) for n in (1, 2, 9, 30, 31, 64, 120, 257)]
    alone = {text: model.embed([text])[0] for text in texts}
    generator = np.random.default_rng(3)
    for _ in range(6):
        batch = [texts[i] for i in generator.permutation(len(texts))[: generator.integers(2, len(texts) + 1)]]
        batch += batch[:1]  # the same sequence twice
        for text, array in zip(batch, model.embed(batch), strict=True):
            np.testing.assert_allclose(array, alone[text], atol=1e-5, rtol=0)


# --- long sequences -----------------------------------------------------------------------------------


@BOTH
def test_a_sequence_within_the_limit_goes_through_uncut(settings, caplog: pytest.LogCaptureFixture) -> None:
    model = stirred(settings)
    text = sequence(settings, model.max_residues)
    assert model.max_residues == 1022
    with torch.inference_mode():
        whole = model.encoder(torch.tensor([model.tokenize(text)], device=model.device))[0, 1:-1].cpu().numpy()
    with caplog.at_level(logging.INFO):
        np.testing.assert_array_equal(model.embed([text])[0], whole)
    assert caplog.records == []


@BOTH
def test_3000_residues_are_blended_from_windows(settings, caplog: pytest.LogCaptureFixture) -> None:
    model, text = stirred(settings), sequence(settings, 3000)
    with caplog.at_level(logging.INFO):
        found = model.embed([text])[0]
    assert len(caplog.records) == 1
    assert "3000 residues" in caplog.text
    assert found.shape == (3000, 64)
    assert np.isfinite(found).all()
    windows = cut(3000, model.max_residues, model.window_overlap)
    lying = np.zeros(3000, int)
    for start, stop in windows:
        lying[start:stop] += 1
    assert (lying == 1).sum() > 1000
    for start, stop in windows:
        single = lying[start:stop] == 1
        np.testing.assert_allclose(found[start:stop][single], model.embed([text[start:stop]])[0][single], atol=1e-5)
    again = model.embed([sequence(settings, 5), text])[1]
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_windows_and_sequences_keep_one_budget_of_tokens() -> None:
    model = dataclasses.replace(stirred(ESM), max_residues=40, window_overlap=10)
    texts = [sequence(ESM, n, seed=n) for n in (333, 1, 40, 39, 7, 41)]
    at_once, shapes = model.embed(texts), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    for one, other in zip(at_once, model.embed(texts, 130), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert max(rows * columns for rows, columns in shapes) <= 130
    # 333 residues are 11 windows, 41 are 2, and two are nearly as long: three of these 15 fit the budget
    assert [rows for rows, _ in shapes] == [1, 1, 3, 3, 3, 3, 3]


# --- precision ----------------------------------------------------------------------------------------


@BOTH
def test_a_cpu_computes_in_float32_whatever_is_asked(settings) -> None:
    cpu = torch.device("cpu")
    assert {autocast_dtype(choice, cpu) for choice in ("none", "bf16", "fp16", "auto")} == {None}
    if torch.cuda.is_available():
        pytest.skip("this machine computes on its GPU")
    text = sequence(settings, 50)
    plain, auto = (load_language_model(settings, None, autocast=choice) for choice in ("none", "auto"))
    assert auto.precision == precision("auto") == "float32"
    np.testing.assert_array_equal(plain.embed([text])[0], auto.embed([text])[0])


@BOTH
def test_shorter_products_give_float32_near_the_exact_numbers(settings) -> None:
    exact = stirred(settings)
    short = dataclasses.replace(exact, autocast=torch.bfloat16)
    assert short.precision == "bfloat16"
    texts = [sequence(settings, n, seed=n) for n in (5, 80)]
    for one, other in zip(exact.embed(texts), short.embed(texts), strict=True):
        assert other.dtype == np.float32
        assert 0 < np.abs(one - other).max() < 0.2  # of values around 1: bfloat16 has 8 bits


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@BOTH
def test_a_gpu_computes_in_what_is_asked(settings) -> None:
    texts = [sequence(settings, n, seed=n) for n in (5, 80, 1500)]
    exact = load_language_model(settings, None)
    assert exact.precision == "float32"
    for choice, expected in (("fp16", {"float16"}), ("auto", {"bfloat16", "float16"})):
        model = load_language_model(settings, None, autocast=choice)
        assert model.precision in expected
        for one, other in zip(exact.embed(texts), model.embed(texts), strict=True):
            assert other.dtype == np.float32
            assert np.abs(one - other).max() < 0.2


def test_numbers_that_overflow_are_an_error() -> None:
    model = load_language_model(RNA, None)
    model.encoder.transformer.final_layer_norm.weight[0] = torch.inf
    with pytest.raises(CopraError, match=r"random:5 in float32: not finite for the sequence ACGU"):
        model.embed(["ACGU"])


# --- checkpoints --------------------------------------------------------------------------------------


@BOTH
def test_a_released_file_gives_the_numbers_of_its_weights(settings, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    named = checkpoint(settings, path)
    sha256 = sum_of(path)
    model = load_language_model(named, path, sha256=sha256)
    assert model.weights == f"sha256:{sha256}"
    text = sequence(settings, 30)
    np.testing.assert_array_equal(model.embed([text])[0], load_language_model(settings, None).embed([text])[0])


@BOTH
def test_a_file_of_another_hash_is_refused_before_it_is_read(settings, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"anything")
    with pytest.raises(
        InputError, match=rf"{path}: .*'named'.* found sha256:{sum_of(path)}, expected sha256:{'a' * 64}"
    ):
        load_language_model(settings.model_copy(update={"weights": "named"}), path, sha256="a" * 64)


@BOTH
def test_what_is_no_checkpoint_is_refused_by_name(settings, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    named = checkpoint(settings, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-100], b"", pickle.dumps(Path("a")), b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{path}: not a readable {settings.family} checkpoint"):
            load_language_model(named, path)
    path.write_text("<!doctype html><html>Not found</html>")
    with pytest.raises(InputError, match=rf"{path}: a web page"):
        load_language_model(named, path)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(InputError, match=r"found a list"):
        load_language_model(named, path)


def test_a_checkpoint_of_the_other_family_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    checkpoint(ESM, path)
    with pytest.raises(InputError, match=r"missing embedding.weight"):
        load_language_model(RNA.model_copy(update={"weights": "named"}), path)
    checkpoint(RNA, path)
    with pytest.raises(InputError, match=r"no 'model' in this file"):
        load_language_model(ESM.model_copy(update={"weights": "named"}), path)


def test_a_checkpoint_of_another_number_of_heads_is_refused(tmp_path: Path) -> None:
    named = checkpoint(ESM, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"inv_freq has 8 frequencies, expected 4 for 8 heads"):
        load_language_model(named.model_copy(update={"heads": 8}), tmp_path / "weights.pt")
