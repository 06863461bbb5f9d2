"""What a finished experiment is packed into, what is read back, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaged import DG, IDS, SHA256, WEIGHTS, Finished, finished_experiment, write_checkpoint, write_predictions

from copra.errors import InputError
from copra.predict.package import complex_settings, read_package
from copra.tables import read_table, write_table


@pytest.fixture
def done(tmp_path: Path) -> Finished:
    return finished_experiment(tmp_path / "run")


# --- what is in it ------------------------------------------------------------------------------------


def test_every_member_is_the_trained_weights_byte_for_byte(done: Finished, tmp_path: Path) -> None:
    package = read_package(done.pack(tmp_path / "p"))
    assert [(m.seed, m.fold) for m in package.members] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    for member in package.members:
        trained = done.table(member.seed, member.fold).parent / "checkpoint" / "model.safetensors"
        assert package.member_path(member).read_bytes() == trained.read_bytes()
        assert member.label_mean_kcal_mol == -9.0 - member.fold
    assert package.missing_members == ()
    assert package.experiment == done.experiment


def test_metrics_are_those_of_the_mean_over_seeds_of_unseen_records(done: Finished, tmp_path: Path) -> None:
    metrics = read_package(done.pack(tmp_path / "p")).metrics
    measured = np.array(list(DG.values()))
    error = np.array([0, 1, 2, 3, 0, 1, 2, 3], dtype=float)
    assert metrics.n_records == 8
    assert metrics.rmse_kcal_mol == pytest.approx(np.sqrt(3.5))
    assert metrics.mae_kcal_mol == pytest.approx(1.5)
    assert metrics.pcc == pytest.approx(np.corrcoef(measured, measured + error)[0, 1])


def test_the_training_set_tells_each_record_and_what_was_said_of_it_unseen(done: Finished, tmp_path: Path) -> None:
    package = read_package(done.pack(tmp_path / "p"))
    table = package.training()
    assert list(table["record_id"]) == IDS
    assert table["out_of_fold_dg_kcal_mol"].tolist() == pytest.approx([DG[n] + i % 4 for i, n in enumerate(IDS)])
    assert table["n_interface_residues"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]  # nearer than 5 angstrom, not at it
    assert set(table["protein_sequences"]) == {"MKA+MKAG"}
    assert table["fold"].tolist() == [0, 1] * 4
    assert package.data.temperature_k == 293.5
    assert (package.data.n_records, package.data.n_clusters) == (8, 4)


def test_the_half_width_is_the_conformal_quantile_of_the_errors_on_unseen_records(
    done: Finished, tmp_path: Path
) -> None:
    package = read_package(done.pack(tmp_path / "p"))  # errors 0, 0, 1, 1, 2, 2, 3, 3
    assert package.half_width_kcal_mol(0.4) == pytest.approx(1)  # rank ceil(9 * 0.4) = 4
    assert package.half_width_kcal_mol(0.5) == pytest.approx(2)  # rank 5
    assert package.half_width_kcal_mol(0.8) == pytest.approx(3)
    assert package.half_width_kcal_mol(0.9) == float("inf")  # rank 9 of 8


def test_the_language_models_are_described_so_that_no_other_can_be_taken_for_them(
    done: Finished, tmp_path: Path
) -> None:
    package = read_package(done.pack(tmp_path / "p"))
    protein, rna = package.language_models.protein, package.language_models.rna
    assert protein is not None
    assert rna is not None
    assert (protein.name, protein.weights, protein.width) == ("esm2_8M", f"sha256:{SHA256}", 320)
    assert protein.settings == done.config.language_models["esm2_8M"]
    assert (rna.name, rna.weights, rna.width) == ("rinalmo_random", "random:0", 32)
    assert package.weights_text == WEIGHTS
    assert package.embedding.dtype == "float16"


def test_the_same_experiment_gives_the_same_bytes_in_whatever_order_files_come(done: Finished, tmp_path: Path) -> None:
    a, b = done.pack(tmp_path / "a"), done.pack(tmp_path / "b", predictions=done.predictions[::-1])
    names = sorted(path.name for path in a.iterdir())
    assert len(names) == 6
    assert all((a / name).read_bytes() == (b / name).read_bytes() for name in names)


def test_limits_and_cuts_are_those_that_the_experiment_was_trained_with(done: Finished, tmp_path: Path) -> None:
    config, experiments, kept = done.config, done.config.experiments, done.config.structures
    usual = complex_settings(config, experiments["coformer_structure"])
    assert usual.interface_nodes == kept.interface_nodes
    assert complex_settings(config, experiments["coformer_no_pairs_no_crop"]).interface_nodes == 2048
    assert complex_settings(config, experiments["deepnap_retrained"]).interface_nodes == kept.interface_nodes
    small = done.experiment.model_copy(update={"interface_nodes": 128})
    for seed in (1, 2):
        for fold in (0, 1):
            write_checkpoint(done, seed, fold, settings=small.model_dump())
    package = read_package(done.pack(tmp_path / "p", experiment=small))
    assert package.limits().interface_nodes == 128
    assert package.limits().max_protein_residues == config.pra310.max_protein_residues


# --- models that failed -------------------------------------------------------------------------------


def test_a_diverged_model_is_missing_with_its_reason_and_the_other_seed_speaks_for_its_fold(tmp_path: Path) -> None:
    done = finished_experiment(tmp_path / "run", diverged=((2, 1),))
    write_checkpoint(done, 2, 1)  # of an earlier run: not the model that failed
    package = read_package(done.pack(tmp_path / "p"))
    assert [(m.seed, m.fold) for m in package.members] == [(1, 0), (1, 1), (2, 0)]
    assert [(m.seed, m.fold, m.reason) for m in package.missing_members] == [(2, 1, "diverged: the loss is nan")]
    said = package.training().set_index("record_id")["out_of_fold_dg_kcal_mol"]
    assert said[IDS[1]] == DG[IDS[1]] + 1.25  # seed 1 alone
    assert package.metrics.n_records == 8


def test_a_fold_without_any_model_has_no_unseen_predictions(tmp_path: Path) -> None:
    done = finished_experiment(tmp_path / "run", diverged=((1, 1), (2, 1)))
    package = read_package(done.pack(tmp_path / "p"))
    table = package.training()
    assert table.loc[table["fold"] == 1, "out_of_fold_dg_kcal_mol"].isna().all()
    assert package.metrics.n_records == 4
    assert package.half_width_kcal_mol(0.6) == pytest.approx(2)  # of the errors 0, 0, 2, 2


def test_an_experiment_without_any_model_is_packed_and_refused_with_the_reason(tmp_path: Path) -> None:
    done = finished_experiment(tmp_path / "run", diverged=((1, 0), (1, 1), (2, 0), (2, 1)))
    out = done.pack(tmp_path / "p")
    assert json.loads((out / "model.json").read_text())["metrics"]["rmse_kcal_mol"] is None
    with pytest.raises(InputError, match=r"4 are missing \(seed 1, fold 0: diverged: the loss is nan\)"):
        read_package(out)


def test_packing_anew_takes_the_weights_of_gone_members_away(done: Finished, tmp_path: Path) -> None:
    out = done.pack(tmp_path / "p")
    write_predictions(done.table(2, 1), 2, 1, failure="diverged: the loss is nan")
    assert not (done.pack(out) / "seed_2_fold_1.safetensors").exists()
    assert len(read_package(out).members) == 3


# --- refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda p: (p / "model.json").unlink(), "a folder without model.json; expected a model package"),
        (lambda p: shutil.rmtree(p), "no such folder; expected a model package"),
        (lambda p: (p / "model.json").write_text("{"), "not a readable JSON file"),
        (lambda p: (p / "model.json").write_bytes(b"\xff\xfe{}"), "not a readable JSON file"),
        (lambda p: (p / "model.json").write_text("[1]"), "expected a key `format`"),
        (lambda p: _edit(p, format=2), "a model package of format 2, expected 1"),
        (lambda p: _edit(p, protocol=3), "protocol: found 3"),
        (lambda p: _edit(p, colour="red"), "colour: found 'red'"),
        (lambda p: _edit(p, members=[]), r"has no model to predict with; 0 are missing \(none is named\)"),
        (lambda p: (p / "seed_1_fold_0.safetensors").unlink(), "seed_1_fold_0.safetensors: not there"),
        (lambda p: (p / "seed_1_fold_0.safetensors").write_bytes(b"x"), "not what was packed: found sha256 2d711642"),
        (lambda p: (p / "training.parquet").unlink(), "training.parquet: not there"),
    ],
)
def test_a_folder_that_is_no_sound_package_is_refused(done: Finished, tmp_path: Path, break_it, told: str) -> None:
    out = done.pack(tmp_path / "p")
    break_it(out)
    with pytest.raises(InputError, match=told):
        read_package(out)


def _edit(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_member_cannot_name_a_file_elsewhere(done: Finished, tmp_path: Path) -> None:
    out = done.pack(tmp_path / "p")
    members = json.loads((out / "model.json").read_text())["members"]
    _edit(out, members=[members[0] | {"file": "../run/other.safetensors"}])
    with pytest.raises(InputError, match=r"members\.0\.file"):
        read_package(out)


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda d: write_predictions(d.table(1, 0), 1, 0, experiment="other"), "seed and fold of 'tried', found"),
        (lambda d: write_predictions(d.table(1, 0), 2, 0), "seed 2, fold 0 again"),
        (lambda d: write_predictions(d.table(1, 0), 1, 0, weights="esm2_8M random:0"), "weights 'esm2_8M sha256"),
        (lambda d: write_predictions(d.table(1, 0), 1, 0, part="external"), "other records than fold 0 of"),
        (lambda d: write_checkpoint(d, 1, 0, settings=d.experiment.model_dump() | {"blocks": 9}), "blocks 9 and not 6"),
        (lambda d: write_checkpoint(d, 1, 0, language_models="no language model"), "not the one that predicted"),
        (lambda d: write_checkpoint(d, 1, 0, rna_lm_width=1280), r"widths are \[320, 1280\] and not \[320, 32\]"),
        (lambda d: shutil.rmtree(d.table(1, 0).parent / "checkpoint"), r"model.safetensors: not there, though"),
        (lambda d: _deal_anew(d), "other records than fold 0 of"),
    ],
)
def test_what_does_not_belong_together_is_not_packed(done: Finished, tmp_path: Path, break_it, told: str) -> None:
    out = done.pack(tmp_path / "p")
    break_it(done)
    with pytest.raises(InputError, match=told):
        done.pack(out)


def _deal_anew(done: Finished) -> None:
    folds = read_table(done.folder / "folds.parquet", "folds")
    write_table(folds.assign(fold=1 - folds["fold"]), done.folder / "folds.parquet", "folds")


def test_a_packing_that_stopped_half_way_leaves_no_package(done: Finished, tmp_path: Path) -> None:
    out = done.pack(tmp_path / "p")
    (done.table(2, 0).parent / "checkpoint" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="not there"):
        done.pack(out)
    with pytest.raises(InputError, match=r"a folder without model\.json"):
        read_package(out)


def test_a_language_model_whose_settings_were_not_given_is_refused(done: Finished, tmp_path: Path) -> None:
    lms = {"rinalmo_random": done.config.language_models["rinalmo_random"]}
    with pytest.raises(InputError, match="the protein language model 'esm2_8M'"):
        done.pack(tmp_path / "p", language_models=lms)


def test_reading_a_package_loads_no_torch(root: Path) -> None:
    code = "import sys, copra.predict.package, copra.predict.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
