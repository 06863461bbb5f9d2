"""DeePNAP's row of Table 2: differences of dG by the models of a package, from sequences alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sample_results import fill, put

from copra.config_experiments import DeepNap
from copra.config_file import load_config
from copra.config_mutation import DeepNapDifference
from copra.errors import InputError
from copra.files import sha256_of_file, sha256_of_text
from copra.model.deepnap import DeepNapModel, build_affinity_model
from copra.mutation.baselines import fit_mutation_baseline
from copra.mutation.deepnap import SEEN
from copra.predict.package import (
    ComplexSettings,
    Description,
    Embedding,
    Member,
    MissingMember,
    PooledMetrics,
    TrainingData,
    UsedLanguageModels,
)
from copra.tables import read_table
from copra.train.data import collate
from copra.train.sequences import open_sequences

ROOT = Path(__file__).resolve().parents[2]
WILD, MUTANT, RNA = "MKWRHA", "MKWRAA", "GGACU"
SCALES = {0: (-9.0, 1.5), 1: (-8.0, 2.0)}  # mean and standard deviation of the labels, by fold
KIND = DeepNapDifference(kind="deepnap", base="deepnap_retrained")


class World:
    """A package of two folds of one seed, and three mutations of a homodimer on one RNA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = load_config(ROOT / "config.yaml").experiments["deepnap_retrained"]
        assert isinstance(settings, DeepNap)
        self.settings = settings.model_copy(update={"channels": [8, 8], "head_width": 8})
        (folder / "package").mkdir()
        self.models: dict[int, DeepNapModel] = {}
        members = []
        for fold, (mean, deviation) in SCALES.items():
            torch.manual_seed(fold)
            self.models[fold] = build_affinity_model(self.settings, 0, 0).eval()
            path = folder / "package" / f"seed_7_fold_{fold}.safetensors"
            save_file(self.models[fold].state_dict(), path)
            members.append(Member(
                seed=7, fold=fold, file=path.name, sha256=sha256_of_file(path), label_mean_kcal_mol=mean,
                label_sd_kcal_mol=deviation, best_epoch=1, validation_rmse_kcal_mol=1.0,
            ))  # fmt: skip
        self.describe(members, [])
        training = [
            fill("training_set", record_id=f"1a0{fold}:A,B:R", fold=fold, dg_kcal_mol=-9.0, temperature_k=298.0)
            for fold in (0, 1)
        ]
        put(folder / "package" / "training.parquet", "training_set", training)
        self.write_mutations()

    def describe(self, members: list[Member], missing: list[MissingMember]) -> None:
        config = load_config(ROOT / "config.yaml")
        told = Description(
            format=1, experiment="deepnap_retrained", settings=self.settings, architecture="deepnap tiny",
            members=members, missing_members=missing, language_models=UsedLanguageModels(protein=None, rna=None),
            weights_text="no language model",
            embedding=Embedding(dtype="float16", autocast="none", max_tokens_per_batch=64),
            structures=ComplexSettings(
                contact_cutoff_angstrom=5.0, interface_nodes=256, max_packing_contacts=5, max_protein_chains=3,
                max_rna_chains=3, max_protein_residues=1500, max_rna_nucleotides=160,
            ),
            alignment=config.split.alignment,
            data=TrainingData(
                n_records=2, n_clusters=2, split_family="protein70", records_sha256="ab" * 32, temperature_k=298.0
            ),
            metrics=PooledMetrics(n_records=0, rmse_kcal_mol=None, mae_kcal_mol=None, pcc=None, scc=None),
            protocol="nested", git_commit="", notice="",
        )  # fmt: skip
        (self.folder / "package" / "model.json").write_text(told.model_dump_json())

    def write_mutations(self, **changed: Any) -> None:
        common = {
            "part": "blind", "pdb_id": "9abc", "complex_id": "9abc:A,B:R", "chain": "A", "molecule_type": "protein",
            "mutation": "H5A", "polymer_indices": "4", "mutated_chains": "A,B", "n_changes": 1, "ddg_kcal_mol": 1.0,
            "wildtype_sha256": sha256_of_text(WILD), "mutant_sha256": sha256_of_text(MUTANT),
        }  # fmt: skip
        related = {"free": "", "first": "1a00:A,B:R", "both": "1a00:A,B:R;1a01:A,B:R"}
        rows = [common | {"mutation_id": name, "related_records": text} | changed for name, text in related.items()]
        put(self.folder / "records.parquet", "mutation_records", [fill("mutation_records", **row) for row in rows])
        mutants = [fill("mutants", mutation_id=name, pdb_id="9abc", mutant_sequence=MUTANT) for name in related]
        put(self.folder / "mutants.parquet", "mutants", mutants)
        sequences = {"A": WILD, "B": WILD, "R": RNA}
        chains = [fill("chains", pdb_id="9abc", chain=name, sequence=text) for name, text in sequences.items()]
        put(self.folder / "chains.parquet", "chains", chains)

    def run(self) -> pd.DataFrame:
        out = self.folder / "predictions.parquet"
        fit_mutation_baseline(
            self.folder / "records.parquet", name="tried", experiment=KIND, seeds=[7], features=[], energies=[],
            mutants=[self.folder / "mutants.parquet"], chains=[self.folder / "chains.parquet"],
            package=self.folder / "package", out=out,
        )  # fmt: skip
        return read_table(out, "mutation_predictions").set_index(["training", "mutation_id", "fold"]).sort_index()

    def ddg(self, fold: int) -> float:
        """The same by the model itself: both copies of the chain are mutated."""
        rows = [
            {"record_id": text, "protein_sequences": f"{text},{text}", "rna_sequences": RNA,
             "protein_sha256": ",".join([sha256_of_text(text)] * 2), "rna_sha256": sha256_of_text(RNA)}
            for text in (WILD, MUTANT)
        ]  # fmt: skip
        samples = open_sequences(pd.DataFrame(rows), protein=[], rna=[])
        batch = collate([samples.sample(i, 0.0) for i in (0, 1)], torch.device("cpu"))
        with torch.no_grad():
            wild, mutant = self.models[fold](batch.nodes, None, None).double().tolist()
        return (mutant - wild) * SCALES[fold][1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_model_gives_a_difference_in_its_own_scale(world: World) -> None:
    found = world.run()["predicted_ddg_kcal_mol"]
    for fold in (0, 1):
        assert abs(world.ddg(fold)) > 1e-3
        assert found["all", "free", fold] == pytest.approx(world.ddg(fold), abs=1e-5)
    assert found["all", "both", -1] == pytest.approx(np.mean([world.ddg(0), world.ddg(1)]), abs=1e-5)
    table = world.run()
    assert (table["predicted_reverse_ddg_kcal_mol"] == -table["predicted_ddg_kcal_mol"]).sum() == len(table) - 1
    assert set(table["architecture"]) == {"deepnap tiny"}


def test_unseen_leaves_out_models_that_learnt_from_a_related_record(world: World) -> None:
    unseen = world.run().loc["unseen"]
    assert sorted(unseen.loc["free"].index) == [-1, 0, 1]
    assert sorted(unseen.loc["first"].index) == [-1, 0]  # fold 0 held 1a00 out
    assert unseen.loc[("first", -1), "predicted_ddg_kcal_mol"] == unseen.loc[("first", 0), "predicted_ddg_kcal_mol"]
    assert sorted(unseen.loc["both"].index) == [-1]
    assert unseen.loc[("both", -1), "failure"] == SEEN
    assert np.isnan(unseen.loc[("both", -1), "predicted_ddg_kcal_mol"])


def test_sequences_that_do_not_fit_are_refused(world: World) -> None:
    for changed, said in (
        ({"mutated_chains": "R"}, "expected the wild type's sequence in chain R"),
        ({"mutated_chains": "Q"}, "expected the wild type's sequence in chain Q"),
        ({"complex_id": "9abc:A,C:R"}, "no sequence of chain C of 9abc"),
    ):
        world.write_mutations(**changed)
        with pytest.raises(InputError, match=said):
            world.run()
    world.write_mutations()
    put(world.folder / "mutants.parquet", "mutants", [])
    with pytest.raises(InputError, match="mutation both: no row of the table mutants"):
        world.run()


def test_models_that_all_diverged_are_no_error_of_the_run(world: World) -> None:
    world.describe([], [MissingMember(seed=7, fold=fold, reason="diverged: it grew") for fold in (0, 1)])
    found = world.run()
    assert set(found["failure"]) == {"diverged: it grew"}
    assert found["predicted_ddg_kcal_mol"].isna().all()
    assert len(found) == 2 * 3
