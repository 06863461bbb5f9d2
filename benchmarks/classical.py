"""Seconds of every classical and shortcut row of Table 1 on made records of PRA310's size.

python benchmarks/classical.py [--folds 0 1 2 3 4] [--rows NAME ...]

310 records with lengths like those of PRA310, embeddings of the real widths in 32 shards, measured features of the
interfaces, every pair of identities, and FoldX skipped. Every fold of every row is one `copra fit-baseline` in a
process of its own with one thread, as the workflow runs it; what is added up is processor time, start of Python
included.
The values are noise with a little signal: the figures are for time, not for merit.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import machine, markdown

from copra.config_experiments import CLASSICAL_KINDS, EMBEDDINGS, MEASURED, Classical
from copra.config_file import load_config
from copra.embed.store import rounded, write_embeddings
from copra.files import sha256_of_text
from copra.tables import TABLES, write_table

ROOT = Path(__file__).resolve().parent.parent
RECORDS, FOLDS, CLUSTERS, SHARDS, SEED = 310, 5, 170, 32, 2024
N_MEASURED = {"interface_size": 3, "interface_properties": 60, "distance_signatures": 288}
LETTERS = {"protein": "ARNDCQEGHILKMFPSTWYV", "rna": "ACGU"}


@dataclass(frozen=True)
class Files:
    """What `fit-baseline` reads."""

    records: Path
    folds: Path
    identities: Path
    features: Path
    energies: Path
    embeddings: dict[str, list[Path]]  # protein, rna


def main() -> None:
    """Make the records, run the rows, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="folds that are run (default: the first)")
    parser.add_argument("--rows", nargs="*", default=[], help="rows of Table 1 (default: all classical ones)")
    asked = parser.parse_args()
    config = load_config(ROOT / "config.yaml")
    experiments = {
        name: experiment
        for name in config.evaluate.table1
        if isinstance(experiment := config.experiments[name], CLASSICAL_KINDS)
    }
    widths = {name: model.width for name, model in config.language_models.items()}
    print(machine(["numpy", "scikit-learn", "pandas"]), end="\n\n")
    lines, total = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        files = made_files(Path(folder), experiments["lm_linear"], widths)
        for name in asked.rows or experiments:
            runs = [run_row(files, name, experiments[name], fold, Path(folder)) for fold in asked.folds]
            busy, wall = (float(np.mean(column)) for column in zip(*runs, strict=True))
            total += busy * FOLDS
            lines.append([name, f"{busy:.1f}", f"{wall:.1f}"])
    print(markdown(["row", "processor s per fold", "time of day, s per fold"], lines))
    print(f"\n{len(lines)} rows, {FOLDS} folds, one seed: {total:.0f} processor s: {total / 120:.1f} min on 2 cores")


def run_row(files: Files, name: str, experiment: Classical, fold: int, folder: Path) -> tuple[float, float]:
    """Processor seconds and time of day of one fold of one row in a fresh process."""
    features = set(getattr(experiment, "features", ()))
    given = {
        "features": [files.features] if features & set(MEASURED) else [],
        "protein-embeddings": files.embeddings["protein"] if "protein_embedding" in features else [],
        "rna-embeddings": files.embeddings["rna"] if "rna_embedding" in features else [],
        "identities": [files.identities] if experiment.model == "nearest_protein" else [],
        "energies": [files.energies] if experiment.model == "foldx" else [],
    }
    lists = [word for flag, paths in given.items() for word in (f"--{flag}", *map(str, paths))]
    command = [
        sys.executable, "-m", "copra.cli", "fit-baseline", str(files.records), "--folds", str(files.folds),
        "--fold", str(fold), "--method", "cd_hit", "--seed", str(SEED), "--name", name,
        "--experiment", experiment.model_dump_json(), *lists, "--out", str(folder / "predictions.parquet"),
    ]  # fmt: skip
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **threads, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def made_files(folder: Path, language_models: Classical, widths: dict[str, int]) -> Files:
    """Write everything below `folder`."""
    generator = np.random.default_rng(SEED)
    table, sequences = made_records(generator)
    embeddings = {}
    for molecule, feature in (("protein", "protein_embedding"), ("rna", "rna_embedding")):
        name = getattr(language_models, EMBEDDINGS[feature])
        embeddings[molecule] = made_embeddings(folder / molecule, sequences[molecule], name, widths[name], generator)
    files = Files(
        records=folder / "records.parquet",
        folds=folder / "folds.parquet",
        identities=folder / "identities.parquet",
        features=folder / "features.parquet",
        energies=folder / "energies.parquet",
        embeddings=embeddings,
    )
    write_table(table, files.records, "records")
    clusters = np.concatenate((np.arange(CLUSTERS), generator.integers(0, CLUSTERS // 4, RECORDS - CLUSTERS)))
    dealt = pd.DataFrame({"record_id": table["record_id"], "cluster": [f"c{k:03}" for k in clusters]})
    write_table(dealt.assign(fold=clusters % FOLDS), files.folds, "folds")
    proteins = sorted(sequences["protein"])
    pairs = pd.DataFrame(combinations(proteins, 2), columns=["sequence_a", "sequence_b"])
    whole = dict.fromkeys(("n_residues_a", "n_residues_b", "n_aligned", "n_identical"), 1)
    identity = generator.uniform(0.05, 0.4, len(pairs))
    write_table(
        pairs.assign(molecule_type="protein", score=1.0, identity=identity, **whole), files.identities, "identities"
    )
    rows = [
        (record, kind, f"x{i:03}", float(generator.poisson(20)))
        for record in table["record_id"] for kind, n in N_MEASURED.items() for i in range(n)
    ]  # fmt: skip
    write_table(
        pd.DataFrame(rows, columns=["record_id", "feature_set", "feature", "value"]),
        files.features,
        "interface_features",
    )
    skipped = {
        "status": "skipped",
        "interaction_energy_kcal_mol": None,
        "repaired": False,
        "program": "",
        "detail": "none",
    }
    write_table(table[["record_id"]].assign(**skipped), files.energies, "foldx")
    return files


def made_records(generator: np.random.Generator) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """Records with one or two protein chains and one RNA chain; dG follows the fraction of lysine and arginine."""
    neutral = {"string": "", "int": 1, "float": 1.0, "bool": False}
    blank = {c.split()[0]: neutral[c.split()[1].rstrip("?")] for c in TABLES["records"].columns}
    sequences: dict[str, dict[str, str]] = {"protein": {}, "rna": {}}
    rows = []
    for i in range(RECORDS):
        row = {**blank, "record_id": f"x{i:03}:A:B", "pdb_id": f"x{i:03}"}
        basic = generator.uniform(0.05, 0.3)
        for molecule, median in (("protein", 216), ("rna", 14)):
            letters, texts = LETTERS[molecule], []
            for _ in range(1 + (molecule == "protein" and i % 5 == 0)):
                weight = np.array([basic * 10 if letter in "KR" else 1.0 for letter in letters])
                n = int(np.clip(median * np.exp(generator.normal(0, 0.6)), 5, 1370))
                text = "".join(generator.choice(list(letters), n, p=weight / weight.sum()))
                texts.append(text)
                sequences[molecule][sha256_of_text(text)] = text
            row[f"{molecule}_sequences"] = ",".join(texts)
            row[f"{molecule}_sha256"] = ",".join(sha256_of_text(text) for text in texts)
            row["n_protein_residues" if molecule == "protein" else "n_rna_nucleotides"] = sum(map(len, texts))
        row["dg_kcal_mol"] = -9.5 - 8 * (basic - 0.17) + generator.normal(0, 1.2)
        rows.append(row)
    return pd.DataFrame(rows), sequences


def made_embeddings(
    folder: Path, sequences: dict[str, str], name: str, width: int, generator: np.random.Generator
) -> list[Path]:
    """Each residue type has a vector, each sequence one of its own, and each residue noise."""
    vector = dict(zip("ARNDCQEGHILKMFPSTWYVU", generator.normal(size=(21, width)), strict=True))
    description = dict.fromkeys(("residue_numbering", "device", "precision", "code", "versions"), "made")
    whole = {"language_model": name, "molecule_type": folder.name, "weights": "made", "dtype": "float16"}
    keys, paths = sorted(sequences), []
    for shard in range(SHARDS):
        here = keys[shard::SHARDS]
        values = {}
        for key in here:
            base = np.stack([vector[letter] for letter in sequences[key]]) + generator.normal(size=width) * 0.5
            values[key] = (base + generator.standard_normal(base.shape, dtype=np.float32)).astype(np.float32)
        stored = ((key, rounded(value, "float16", key)) for key, value in values.items())
        lengths = {key: len(sequences[key]) for key in here}
        paths.append(folder / f"{shard}.h5")
        paths[-1].parent.mkdir(exist_ok=True)
        write_embeddings(paths[-1], lengths, {**description, **whole, "layer": 33, "width": width, "heads": 20}, stored)
    return paths


if __name__ == "__main__":
    main()
