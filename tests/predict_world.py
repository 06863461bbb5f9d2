"""Models trained for moments on entries of the demo archive, packed as `copra package-model` packs them.

Structure file -> interface -> embeddings -> training -> package is the build's own way, so that a prediction from the
file can be compared with what the training wrote.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sample_results import fill, put

from copra.config import Embed, Esm2, LanguageModel, Rinalmo
from copra.config_experiments import DeepNap, Neural
from copra.config_file import load_config
from copra.config_model import Coformer
from copra.embed.shard import embed_sequences
from copra.files import sha256_of_text
from copra.predict.package import Embedding, complex_settings
from copra.predict.packing import package_model
from copra.structure.interface import Interface, cut_interface
from copra.structure.reader import read_structure
from copra.structure.residues import Structure
from copra.structure.store import write_interfaces
from copra.tables import write_table
from copra.train.finetune import train_fold

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "resources" / "demo"
ENTRIES = ("0daa", "0dac", "0dae", "0daf", "0dag", "0dah", "0dak", "0dam", "0dap", "0daq", "0dar", "0dat", "0dau",
           "0dav", "0daw", "0dba")  # fmt: skip
UNLABELLED = "0dbc"
N_FOLDS, EPOCHS = 2, 3
LANGUAGE_MODELS: dict[str, LanguageModel] = {
    "esm2_random": Esm2(family="esm2", layers=1, width=16, heads=2, weights="random:0"),
    "rinalmo_random": Rinalmo(family="rinalmo", layers=1, width=8, heads=2, weights="random:1"),
}
CONFIG = load_config(ROOT / "config.yaml")
TRAINING = {
    "dropout": 0.1, "learning_rate": 0.01, "batch_size": 4, "epochs": EPOCHS, "inner_folds": 3, "loader_threads": 0,
}  # fmt: skip


def demo_file(pdb_id: str) -> Path:
    """The coordinate file of an entry of the demo archive."""
    return DEMO / "archive" / "structures" / "divided" / "mmCIF" / pdb_id[1:3] / f"{pdb_id}.cif.gz"


def coformer(with_lms: bool, interface_nodes: int = 24) -> Coformer:
    """A small Co-Former; it sees fewer residues than the interfaces have."""
    size = {
        "blocks": 2, "sequence_width": 16, "pair_width": 8, "heads": 2, "outer_product_width": 2, "head_width": 16,
        "interface_nodes": interface_nodes,
        "protein_lm": "esm2_random" if with_lms else None, "rna_lm": "rinalmo_random" if with_lms else None,
    }  # fmt: skip
    return Coformer(**CONFIG.experiments["coformer_structure"].model_dump() | TRAINING | size)


def deepnap() -> DeepNap:
    """A small network that reads whole sequences."""
    size = {"channels": [8, 8], "kernel": 3, "head_width": 8}
    return DeepNap(**CONFIG.experiments["deepnap_retrained"].model_dump() | TRAINING | size)


@dataclass(frozen=True)
class PredictWorld:
    """The labelled entries and what was cut and embedded of them."""

    folder: Path
    chains: dict[str, tuple[list[str], list[str]]]  # record id -> protein chains, RNA chains

    def package(self, name: str, experiment: Neural) -> Path:
        """Train the experiment on both folds and pack it; the folder of the package."""
        trained = [self._train(name, experiment, fold) for fold in range(N_FOLDS)]
        package_model(
            trained, name=name, experiment=experiment, records=self.folder / "records.parquet",
            folds=self.folder / "folds.parquet", family="protein70", interfaces=[self.folder / "interfaces.h5"],
            language_models=LANGUAGE_MODELS, structures=complex_settings(CONFIG, experiment),
            embedding=Embedding(dtype="float16", autocast="none", max_tokens_per_batch=500),
            alignment=CONFIG.split.alignment, notice="", out=self.folder / "models" / name,
        )  # fmt: skip
        return self.folder / "models" / name

    def predicted(self, name: str) -> dict[str, float]:
        """What the training of this experiment predicted of each record in the fold that it had not seen."""
        tables = [pd.read_parquet(self._out(name, fold)) for fold in range(N_FOLDS)]
        table = pd.concat(tables)
        return dict(zip(table["record_id"], table["predicted_dg_kcal_mol"], strict=True))

    def _out(self, name: str, fold: int) -> Path:
        return self.folder / "train" / name / "seed_7" / f"fold_{fold}" / "predictions.parquet"

    def _train(self, name: str, experiment: Neural, fold: int) -> Path:
        out = self._out(name, fold)
        lms = (experiment.protein_lm, experiment.rna_lm)
        protein, rna = ([self.folder / f"{lm}.h5"] if lm else [] for lm in lms)
        train_fold(
            self.folder / "records.parquet", folds=self.folder / "folds.parquet", fold=fold, method="cd_hit", seed=7,
            name=name, experiment=experiment, interfaces=[self.folder / "interfaces.h5"], protein_embeddings=protein,
            rna_embeddings=rna, checkpoint=out.parent / "checkpoint", history=out.parent / "history.jsonl", out=out,
        )  # fmt: skip
        return out


def predict_world(folder: Path) -> PredictWorld:
    """Read the demo entries, cut their interfaces and embed their sequences."""
    truth = {row["pdb_id"]: row for row in csv.DictReader((DEMO / "truth.tsv").open(), delimiter="\t")}
    rows, cut, chains, texts = [], [], {}, set()
    for pdb_id in ENTRIES:
        told = truth[pdb_id]
        sides = told["protein_chains"].split(","), told["rna_chains"].split(",")
        name = f"{pdb_id}:{','.join(sides[0])}:{','.join(sides[1])}"
        structure = read_structure(demo_file(pdb_id), pdb_id)
        cut.append(cut_interface(structure, name, *sides, CONFIG.structures.interface_nodes))
        rows.append(_record(name, structure, cut[-1], float(told["label_dg_kcal_mol"])))
        chains[name] = sides
        texts |= {(kind, text) for kind in ("protein", "rna") for text in rows[-1][f"{kind}_sequences"].split(",")}
    put(folder / "records.parquet", "records", rows)
    write_interfaces(cut, folder / "interfaces.h5")
    dealt = [
        {"record_id": r["record_id"], "cluster": f"c{i // 2:02}", "fold": i // 2 % N_FOLDS} for i, r in enumerate(rows)
    ]
    put(folder / "folds.parquet", "folds", dealt)
    _embed(folder, sorted(texts))
    return PredictWorld(folder, chains)


def _record(name: str, structure: Structure, interface: Interface, dg_kcal_mol: float) -> dict[str, object]:
    letters = dict(zip(structure.chain_ids, structure.sequences, strict=True))
    values: dict[str, object] = {}
    for kind, names in zip(("protein", "rna"), name.split(":")[1:], strict=True):
        own = [letters[chain] for chain in names.split(",")]
        values |= {f"{kind}_sequences": ",".join(own), f"{kind}_sha256": ",".join(map(sha256_of_text, own))}
        values[f"n_{kind}_{'residues' if kind == 'protein' else 'nucleotides'}"] = sum(map(len, own))
    return fill("records", record_id=name, pdb_id=name[:4], dg_kcal_mol=dg_kcal_mol, temperature_k=298.15, **values)


def _embed(folder: Path, texts: list[tuple[str, str]]) -> None:
    listed = pd.DataFrame(texts, columns=["molecule_type", "sequence"])
    keys, lengths = listed["sequence"].map(sha256_of_text), listed["sequence"].str.len()
    write_table(
        listed.assign(sequence_sha256=keys, n_residues=lengths, shard=0), folder / "sequences.parquet", "sequences"
    )
    settings = Embed(shards=1, max_tokens_per_batch=500, dtype="float16", autocast="none")
    for name, model in LANGUAGE_MODELS.items():
        out = folder / f"{name}.h5"
        embed_sequences(folder / "sequences.parquet", shard=0, name=name, model=model, settings=settings, out=out)
