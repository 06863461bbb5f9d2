"""A finished experiment of eight records, two folds and two seeds, made by hand, and its model package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sample_results import fill, put

from copra.config import Config
from copra.config_file import load_config
from copra.config_model import Coformer
from copra.files import sha256_of_text
from copra.predict.package import Embedding, complex_settings
from copra.predict.packing import package_model
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.structure.store import write_interfaces

ROOT = Path(__file__).resolve().parents[1]
SEEDS, N_RECORDS = (1, 2), 8
IDS = [f"1a{i:02}:A,B:R" for i in range(N_RECORDS)]
DG = {name: -6.0 - i for i, name in enumerate(IDS)}
SHA256 = "ab" * 32
WEIGHTS = f"esm2_8M sha256:{SHA256}; rinalmo_random random:0"


def predicted(name: str, seed: int) -> float:
    """What the model of a seed says of a record: in the mean over seeds its dG and 0, 1, 2, 3, 0, 1, ... too much."""
    return DG[name] + IDS.index(name) % 4 + (0.25 if seed == 1 else -0.25)


@dataclass(frozen=True)
class Finished:
    """The files of an experiment and its settings."""

    folder: Path
    config: Config
    experiment: Coformer

    @property
    def predictions(self) -> list[Path]:
        """The tables of all seeds and folds."""
        return sorted((self.folder / "train" / "tried").glob("seed_*/fold_*/predictions.parquet"))

    def table(self, seed: int, fold: int) -> Path:
        """The predictions of one seed and fold."""
        return self.folder / f"train/tried/seed_{seed}/fold_{fold}/predictions.parquet"

    def pack(self, out: Path, **changed: Any) -> Path:
        """Write the package into `out`; `changed` are other arguments."""
        lms = {name: self.config.language_models[name] for name in ("esm2_8M", "rinalmo_random")}
        given = {
            "predictions": self.predictions, "name": "tried", "experiment": self.experiment,
            "records": self.folder / "records.parquet", "folds": self.folder / "folds.parquet",
            "family": "protein70", "interfaces": [self.folder / "interfaces.h5"], "language_models": lms,
            "embedding": Embedding(dtype="float16", autocast="none", max_tokens_per_batch=64),
            "structures": complex_settings(self.config, self.experiment),
            "alignment": self.config.split.alignment, "notice": "made by hand", "out": out,
        }  # fmt: skip
        package_model(**given | changed)
        return out


@cache
def whole_config() -> Config:
    """The configuration of the full run."""
    return load_config(ROOT / "config.yaml")


def finished_experiment(folder: Path, diverged: tuple[tuple[int, int], ...] = ()) -> Finished:
    """Write the files of the experiment; the models of the seeds and folds `diverged` have failed."""
    config = whole_config()
    settings = config.experiments["coformer_scratch"].model_dump()
    experiment = Coformer(**settings | {"protein_lm": "esm2_8M", "rna_lm": "rinalmo_random"})
    done = Finished(folder, config, experiment)
    put(folder / "records.parquet", "records", [_record(name) for name in IDS])
    dealt = [{"record_id": name, "cluster": f"c{i // 2}", "fold": i % 2} for i, name in enumerate(IDS)]
    put(folder / "folds.parquet", "folds", dealt)
    write_interfaces([_interface(name, n_touching=i + 1) for i, name in enumerate(IDS)], folder / "interfaces.h5")
    for seed in SEEDS:
        for fold in (0, 1):
            failure = "diverged: the loss is nan" if (seed, fold) in diverged else ""
            write_predictions(done.table(seed, fold), seed, fold, failure=failure)
            if not failure:
                write_checkpoint(done, seed, fold)
    return done


def write_predictions(path: Path, seed: int, fold: int, **changed: Any) -> None:
    """The table of one seed and fold; `changed` are other values of its columns."""
    values = {"experiment": "tried", "seed": seed, "fold": fold, "weights": WEIGHTS, "architecture": "official"}
    values |= {"part": "test", "failure": ""} | changed
    rows = [
        fill("predictions", **values, record_id=name, measured_dg_kcal_mol=DG[name],
             predicted_dg_kcal_mol=None if values["failure"] else predicted(name, seed))
        for name in IDS[fold::2]
    ]  # fmt: skip
    put(path, "predictions", rows)


def write_checkpoint(done: Finished, seed: int, fold: int, **changed: Any) -> None:
    """The folder `checkpoint` beside one table; `changed` are other values of model.json."""
    folder = done.table(seed, fold).parent / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(f"weights of {seed} {fold}".encode())
    values = {
        "settings": done.experiment.model_dump(), "architecture": "official", "language_models": WEIGHTS,
        "pretrained": None, "protein_lm_width": 320, "rna_lm_width": 32, "label_mean_kcal_mol": -9.0 - fold,
        "label_sd_kcal_mol": 2.0, "best_epoch": 3, "validation_rmse_kcal_mol": 1.5,
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(values | changed))


def _record(name: str) -> dict[str, Any]:
    return fill(
        "records", record_id=name, pdb_id=name[:4], dg_kcal_mol=DG[name], temperature_k=290.0 + IDS.index(name),
        protein_sequences="MKA,MKAG", rna_sequences="ACGU", n_protein_residues=7, n_rna_nucleotides=4,
    )  # fmt: skip


def _interface(name: str, n_touching: int) -> Interface:
    """Of 11 residues, so many of which are 3.5 angstrom from the partner, one exactly 5 and the others 9."""
    arrays: dict[str, Any] = {key: np.zeros((11, *shape), kind) for key, (kind, shape) in NODE_ARRAYS.items()}
    distance = np.full(11, 9.0, dtype=np.float32)
    distance[:n_touching], distance[n_touching] = 3.5, 5.0
    keys = tuple(sha256_of_text(text) for text in ("MKA", "MKAG", "ACGU"))
    return Interface(
        complex_id=name, chain_ids=("A", "B", "R"), chain_sequence_sha256=keys,
        centres_angstrom=np.zeros((3, 3), np.float32), **arrays | {"partner_distance_angstrom": distance},
    )  # fmt: skip
