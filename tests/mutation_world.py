"""Eight small complexes with mutation effects, labelled records, and the package of an untrained Co-Former of them.

Entry 1 is a homodimer on one RNA, in entry 2 only the copy B touches the RNA, entry 3 has entry 0's protein. The
records are entries 0 to 5 in three folds; the entries 6 and 7 are related to no record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hand_made_complex import hand_made
from safetensors.torch import save_file
from sample_results import fill, put

from copra.config import Config
from copra.config_file import load_config
from copra.config_model import Coformer
from copra.config_mutation import FineTuned
from copra.files import sha256_of_file, sha256_of_text
from copra.model.coformer import build_affinity_model
from copra.mutation.records import select_mutations
from copra.predict.package import complex_settings
from copra.structure.mutants import apply_mutations
from copra.structure.residues import PROTEIN_LETTERS, Structure
from copra.structure.store import write_structures
from copra.train.folds import NO_LANGUAGE_MODEL

ROOT = Path(__file__).resolve().parents[1]
PDB_IDS = [f"{i + 1}aaa" for i in range(8)]
THREE_LETTERS = "ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split()  # noqa: SIM905
NAMES = dict(zip("RNDCQEGHILKMFPSTWYV", THREE_LETTERS, strict=True))
SETS = {"cv": [0, 1, 2, 3, 6, 7], "blind": [2, 4], "extra": [1, 5]}
SEED, BASE_FOLDS, SD_KCAL_MOL = 5, 3, 2.0


def structure_of(number: int) -> Structure:
    """An entry: 10 residues of protein and 6 nucleotides at random places of one box, and maybe a copy."""
    draw = np.random.default_rng([3, 0 if number == 3 else number])
    letters = draw.choice(list(NAMES), 10)
    place = np.random.default_rng([4, number])

    def atoms(names: str, shift: float) -> dict[str, Any]:
        return {name: tuple((place.uniform(0.0, 14.0, 3) + shift).tolist()) for name in names.split()}

    def protein(shift: float) -> list[Any]:
        return [(NAMES[letter], atoms("N CA C O", shift)) for letter in letters]

    chains, kinds = {"A": protein(80.0 if number == 2 else 0.0)}, {"A": "protein"}
    if number in (1, 2):
        chains["B"], kinds["B"] = protein(0.0), "protein"
    chains["R"], kinds["R"] = [("G", atoms("P C4' C1' N9", 2.0)) for _ in range(6)], "rna"
    return hand_made(chains, kinds, PDB_IDS[number])


@dataclass(frozen=True)
class MutationWorld:
    """The files of one run."""

    folder: Path
    config: Config
    experiment: Coformer

    @property
    def records(self) -> Path:
        """The table `mutation_records`."""
        return self.folder / "records.parquet"

    @property
    def interfaces(self) -> Path:
        """The wild types' interfaces."""
        return self.folder / "interfaces.h5"

    @property
    def package(self) -> Path:
        """The models of dG."""
        return self.folder / "models"

    def given(self) -> dict[str, Any]:
        """What every verb that predicts is given."""
        return {"package": self.package, "interfaces": self.interfaces, "protein_embeddings": [], "rna_embeddings": []}


def mutation_world(folder: Path, n_alike: int = 3) -> MutationWorld:
    """Write structures, mutations, records and models; of each entry and set `n_alike` mutations to alanine."""
    structures = [structure_of(i) for i in range(len(PDB_IDS))]
    write_structures(structures, folder / "store.h5")
    for part, entries in SETS.items():
        rows = [row for i in entries for row in _effects(part, structures[i], n_alike)]
        put(folder / f"{part}.parquet", "mutations", rows)
    put(folder / "entries.parquet", "entries", [])
    tables = [folder / f"{part}.parquet" for part in SETS]
    apply_mutations(tables, stores=[folder / "store.h5"], entries=folder / "entries.parquet",
                    out=folder / "mutants.parquet", rejects=folder / "refused.parquet")  # fmt: skip
    put(folder / "pra310.parquet", "records", [_record(s) for s in structures[:6]])
    dealt = [{"record_id": f"{PDB_IDS[i]}:A:R", "cluster": PDB_IDS[i], "fold": i % BASE_FOLDS} for i in range(6)]
    put(folder / "folds.parquet", "folds", dealt)
    world = MutationWorld(folder, config(), small_coformer())
    select(world)
    _write_package(world, dealt)
    return world


@cache
def config() -> Config:
    """The configuration of the full run."""
    return load_config(ROOT / "config.yaml")


def small_coformer() -> Coformer:
    """A Co-Former of one block."""
    sizes = {"blocks": 1, "sequence_width": 8, "pair_width": 4, "heads": 2, "head_width": 8, "interface_nodes": 14}
    settings = config().experiments["coformer_structure"].model_dump()
    return Coformer(**settings | sizes | {"preset": "paper", "dropout": 0.0, "loader_threads": 0, "batch_size": 4})


def fine_tuned(**changed: Any) -> FineTuned:
    """Settings of a short fine-tuning."""
    settings = config().mutations.experiments["structure_fine_tuned"].model_dump()
    quick = {"dropout": 0.0, "inner_folds": 2, "epochs": 3, "learning_rate": 0.01, "loader_threads": 0, "batch_size": 4}
    return FineTuned(**settings | quick | changed)


def select(world: MutationWorld, **changed: Any) -> None:
    """Choose and cut the complexes; `changed` are other arguments."""
    folder, settings = world.folder, world.config
    given: dict[str, Any] = {
        "mutants": folder / "mutants.parquet", "refused": folder / "refused.parquet",
        "mutations": [folder / f"{part}.parquet" for part in SETS], "cv_sources": ["cv"], "blind_sources": ["blind"],
        "extra_sources": ["extra"], "stores": [folder / "store.h5"], "records": folder / "pra310.parquet",
        "folds": folder / "folds.parquet", "n_folds": 3, "related_identity": 0.7,
        "scoring": settings.split.alignment.protein, "limits": settings.pra310, "contact_cutoff_angstrom": 5.0,
        "interface_nodes": 14, "threads": 1, "out": world.records, "rejects": folder / "rejects.parquet",
        "interfaces": world.interfaces,
    }  # fmt: skip
    select_mutations(**given | changed)


def _effects(part: str, structure: Structure, n: int) -> list[dict[str, Any]]:
    rows = []
    for i in range(n):
        letter = structure.sequences[0][i]
        rows.append(fill(
            "mutations", mutation_id=f"{part}:{structure.pdb_id}{i}", source=part, source_row=f"{structure.pdb_id}{i}",
            raw_text=f"{letter}{i + 1}A", pdb_id=structure.pdb_id, chain="A", mutation=f"{letter}{i + 1}A",
            mutation_kind="single", ddg_mut_minus_wt_kcal_mol=PROTEIN_LETTERS.index(letter) / 10 - 0.5,
        ))  # fmt: skip
    return rows


def _record(structure: Structure) -> dict[str, Any]:
    protein, rna = structure.sequences[0], structure.sequences[-1]
    return fill(
        "records", record_id=f"{structure.pdb_id}:A:R", pdb_id=structure.pdb_id, dg_kcal_mol=-9.0, temperature_k=298.0,
        protein_sequences=protein, rna_sequences=rna, protein_sha256=sha256_of_text(protein),
        rna_sha256=sha256_of_text(rna),
    )  # fmt: skip


def _write_package(world: MutationWorld, dealt: list[dict[str, Any]]) -> None:
    folder, members = world.package, []
    folder.mkdir()
    for fold in range(BASE_FOLDS):
        torch.manual_seed(fold)
        path = folder / f"seed_{SEED}_fold_{fold}.safetensors"
        save_file(build_affinity_model(world.experiment, 0, 0).state_dict(), path)
        members.append({
            "seed": SEED, "fold": fold, "file": path.name, "sha256": sha256_of_file(path), "label_mean_kcal_mol": -9.0,
            "label_sd_kcal_mol": SD_KCAL_MOL, "best_epoch": 1, "validation_rmse_kcal_mol": 1.0,
        })  # fmt: skip
    settings = world.config
    told = {
        "format": 1, "experiment": "small", "settings": world.experiment.model_dump(), "architecture": "paper",
        "members": members, "missing_members": [], "language_models": {"protein": None, "rna": None},
        "weights_text": NO_LANGUAGE_MODEL,
        "embedding": {"dtype": "float16", "autocast": "none", "max_tokens_per_batch": 64},
        "structures": complex_settings(settings, world.experiment).model_dump(),
        "alignment": settings.split.alignment.model_dump(),
        "data": {"n_records": 6, "n_clusters": 5, "split_family": "protein70", "records_sha256": "0" * 64,
                 "temperature_k": 298.0},
        "metrics": {"n_records": 6, "rmse_kcal_mol": None, "mae_kcal_mol": None, "pcc": None, "scc": None},
        "protocol": "nested", "git_commit": "", "notice": "",
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(told))
    rows = [fill("training_set", **row, dg_kcal_mol=-9.0, temperature_k=298.0) for row in dealt]
    put(folder / "training.parquet", "training_set", rows)
