"""A prediction from a structure file is what the training said of the same complex, and wrong weights are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from predict_world import PredictWorld, demo_file

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.predict.engine import Case, Engine
from copra.predict.members import MOST_PAIRS, batches
from copra.predict.package import read_package

NAMES = ("lms", "structure", "sequences")


def engine_of(packages: dict[str, Path], name: str) -> Engine:
    return Engine(read_package(packages[name]), {}, "cpu")


def case_of(engine: Engine, trained: PredictWorld, record_id: str) -> Case:
    proteins, rnas = trained.chains[record_id]
    return engine.case(demo_file(record_id[:4]), proteins, rnas, None)


@pytest.mark.parametrize("name", NAMES)
def test_the_unseen_member_says_of_a_file_what_the_training_wrote(
    packages: dict[str, Path], trained: PredictWorld, name: str
) -> None:
    engine, written = engine_of(packages, name), trained.predicted(name)
    fold_of = dict(engine.package.training()[["record_id", "fold"]].itertuples(index=False))
    cases = {record: case_of(engine, trained, record) for record in trained.chains}
    engine.embed(pair for case in cases.values() for pair in case.sequences)
    found = engine.dg_kcal_mol([engine.sample(case.interface) for case in cases.values()])
    folds = [member.fold for member in engine.package.members]
    for column, record in enumerate(cases):
        row = folds.index(fold_of[record])
        assert found[row, column] == pytest.approx(written[record], abs=1e-4), record
        assert found[1 - row, column] != pytest.approx(written[record], abs=1e-4), record


def test_alone_and_in_a_batch_a_complex_has_the_same_dg(packages: dict[str, Path], trained: PredictWorld) -> None:
    engine = engine_of(packages, "lms")
    cases = [case_of(engine, trained, record) for record in list(trained.chains)[:4]]
    engine.embed(pair for case in cases for pair in case.sequences)
    samples = [engine.sample(case.interface) for case in cases]
    alone = np.concatenate([engine.dg_kcal_mol([sample]) for sample in samples], axis=1)
    assert np.allclose(engine.dg_kcal_mol(samples), alone, atol=1e-4)
    assert engine.dg_kcal_mol([]).shape == (2, 0)


def test_each_sequence_is_embedded_once_until_it_is_forgotten(
    packages: dict[str, Path], trained: PredictWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from copra.embed.language_models import LanguageModel

    asked: list[str] = []
    embed = LanguageModel.embed

    def counting(self: LanguageModel, sequences: list[str], max_tokens: int | None = None) -> list[np.ndarray]:
        asked.extend(sequences)
        return embed(self, sequences, max_tokens)

    monkeypatch.setattr(LanguageModel, "embed", counting)
    engine = engine_of(packages, "lms")
    case = case_of(engine, trained, "0dac:A:R")
    for _ in range(2):
        engine.embed([*case.sequences, *case.sequences])
    assert sorted(asked) == sorted(text for _, text in case.sequences)
    engine.forget()
    with pytest.raises(InputError, match=r"0dac:A:R: the sequence of chain A \(\w+\) was not embedded"):
        engine.sample(case.interface)
    engine.embed(case.sequences)
    assert len(asked) == 2 * len(case.sequences)


def test_a_peptide_and_an_rna_of_the_same_letters_are_two_sequences(packages: dict[str, Path]) -> None:
    engine = engine_of(packages, "lms")
    engine.embed([("protein", "GACA")])
    assert engine.n_kept_residues == 4
    engine.embed([("rna", "GACA")])
    assert engine.n_kept_residues == 8


def test_batches_hold_every_sample_once_and_stay_below_the_limit() -> None:
    sizes = [259] * 40 + [4, 2051, 30]
    made = batches(sizes)
    assert sorted(i for batch in made for i in batch) == list(range(len(sizes)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) ** 2 <= MOST_PAIRS


# --- weights ------------------------------------------------------------------------------------------


def copied(package: Path, folder: Path) -> tuple[Path, dict]:
    """A copy of a package and what its model.json says, to be changed."""
    shutil.copytree(package, folder)
    return folder, json.loads((folder / "model.json").read_text())


def wanting(packages: dict[str, Path], folder: Path, sha256: str) -> Path:
    """The package `lms` as if its protein model had weights of this sum."""
    folder, told = copied(packages["lms"], folder)
    used = told["language_models"]["protein"]
    used["weights"], used["settings"]["weights"] = f"sha256:{sha256}", "esm2_8M"
    (folder / "model.json").write_text(json.dumps(told))
    return folder


def test_weights_that_are_not_the_trained_ones_are_refused(packages: dict[str, Path], tmp_path: Path) -> None:
    right, other = tmp_path / "right.pt", tmp_path / "other.pt"
    right.write_bytes(b"weights")
    other.write_bytes(b"other weights")
    needed = sha256_of_file(right)
    package = read_package(wanting(packages, tmp_path / "p", needed))
    with pytest.raises(InputError, match=rf"needs the weights of esm2_random \(sha256:{needed}\).*found none"):
        Engine(package, {}, "cpu")
    with pytest.raises(InputError, match=rf"other.pt: other weights.*{sha256_of_file(other)}.*esm2_random.*{needed}"):
        Engine(package, {"esm2_random": other}, "cpu")
    with pytest.raises(InputError, match=rf"nowhere.pt: no such file.*esm2_random \(sha256:{needed}\)"):
        Engine(package, {"esm2_random": tmp_path / "nowhere.pt"}, "cpu")
    with pytest.raises(InputError, match=r"--weights esm2_3B=.*reads esm2_random"):
        Engine(package, {"esm2_random": right, "esm2_3B": right}, "cpu")
    Engine(package, {"esm2_random": right}, "cpu")


def test_random_weights_want_no_file_and_a_model_without_language_model_none(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"trained on random weights of esm2_random \(random:0\).*expected no file"):
        Engine(read_package(packages["lms"]), {"esm2_random": tmp_path}, "cpu")
    with pytest.raises(InputError, match="reads no language model"):
        Engine(read_package(packages["structure"]), {"esm2_8M": tmp_path}, "cpu")


def test_weights_of_another_model_are_named(packages: dict[str, Path], tmp_path: Path) -> None:
    folder, told = copied(packages["structure"], tmp_path / "p")
    member = told["members"][0]
    (folder / member["file"]).write_bytes((packages["sequences"] / member["file"]).read_bytes())
    member["sha256"] = sha256_of_file(folder / member["file"])
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"seed_7_fold_0.safetensors: not the weights of a model 'coformer'"):
        engine_of({"p": folder}, "p").dg_kcal_mol([])
