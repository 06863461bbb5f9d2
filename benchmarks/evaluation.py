"""One results table evaluated from made predictions, beside scoring each predictor and bootstrap sample by itself.

`OMP_NUM_THREADS=1 python benchmarks/evaluation.py [--quick]`; prints Markdown. See README.md.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import machine, markdown
from scipy import stats

from copra.config_file import load_config
from copra.evaluate.bootstrap import bootstrap_weights
from copra.evaluate.metrics import evaluate
from copra.evaluate.scores import METRICS
from copra.files import sha256_of_text
from copra.tables import TABLES, write_table

N_RECORDS, N_EXTERNAL, FOLDS, SEEDS, EXPERIMENTS, SAMPLES = 310, 20, 5, (1, 2, 3), 30, 2000
NEUTRAL = {"string": "", "int": 0, "float": 0.0, "bool": False}


def frame(name: str, **columns: object) -> pd.DataFrame:
    """Rows of the table `name` with these columns; neutral values in all others."""
    kinds = dict(column.rstrip("?").split() for column in TABLES[name].columns)
    table = pd.DataFrame(columns)
    return table.assign(**{key: NEUTRAL[kind] for key, kind in kinds.items() if key not in columns})


def make(folder: Path, n_experiments: int) -> tuple[list[Path], dict[str, Path]]:
    """Made records, folds, identities and predictions; returns the files of the last, and of the others by name."""
    generator = np.random.default_rng(0)
    n = N_RECORDS + N_EXTERNAL
    names = np.array([f"r{i:03d}" for i in range(n)])
    dg = generator.normal(-9.5, 1.7, n)
    texts = [f"{i:03d}".translate(str.maketrans("0123456789", "ARNDCQEGHI")) for i in range(n)]
    keys = [sha256_of_text(text) for text in texts]
    rna = ["ACGU", "GGCC"] * (n // 2)
    records = frame(
        "records", record_id=names, dg_kcal_mol=dg, label_grade=generator.choice(list("ABCD"), n),
        in_pra201=generator.random(n) < 0.65, protein_sequences=texts, protein_sha256=keys, rna_sequences=rna,
        rna_sha256=[sha256_of_text(text) for text in rna],
    )  # fmt: skip
    cluster = np.arange(N_RECORDS) % 160
    folds = pd.DataFrame(
        {"record_id": names[:N_RECORDS], "cluster": [f"c{c}" for c in cluster], "fold": cluster % FOLDS}
    )
    low, high = np.triu_indices(n, 1)
    ordered = np.sort(np.array(keys)[np.stack([low, high])], axis=0)
    pairs = frame("identities", molecule_type="protein", sequence_a=ordered[0], sequence_b=ordered[1],
                  identity=generator.beta(1, 40, len(low)))  # fmt: skip
    a, b = sorted({sha256_of_text(text) for text in rna})
    pairs = pd.concat([pairs, frame("identities", molecule_type=["rna"], sequence_a=[a], sequence_b=[b])])
    paths = {name: folder / f"{name}.parquet" for name in ("records", "folds", "identities")}
    for (name, path), table in zip(paths.items(), (records, folds, pairs), strict=True):
        write_table(table, path, name)
    predictions = []
    for experiment in range(n_experiments):
        for seed in SEEDS:
            for fold in range(FOLDS):
                tested = np.flatnonzero(cluster % FOLDS == fold)
                rows = np.concatenate([tested, np.arange(N_RECORDS, n)])
                said = frame(
                    "predictions", experiment=[f"e{experiment:02d}"] * len(rows), seed=seed, fold=fold,
                    part=np.where(rows < N_RECORDS, "test", "external"), record_id=names[rows],
                    measured_dg_kcal_mol=dg[rows], predicted_dg_kcal_mol=dg[rows] + generator.normal(0, 2, len(rows)),
                )  # fmt: skip
                predictions.append(folder / f"{experiment}_{seed}_{fold}.parquet")
                write_table(said, predictions[-1], "predictions")
    return predictions, paths


def one_by_one(samples: int) -> float:
    """Seconds for the four pooled metrics of one predictor, each of `samples` bootstrap samples by itself."""
    generator = np.random.default_rng(0)
    x = generator.normal(-9.5, 1.7, N_RECORDS)
    y = x + generator.normal(0, 2, N_RECORDS)
    weights = bootstrap_weights(np.arange(N_RECORDS), samples, generator)
    started = time.process_time()
    for weight in weights:
        drawn = np.repeat(np.arange(N_RECORDS), weight.astype(int))
        error = x[drawn] - y[drawn]
        np.sqrt((error**2).mean()), np.abs(error).mean()
        stats.pearsonr(x[drawn], y[drawn])
        stats.spearmanr(x[drawn], y[drawn])
    return time.process_time() - started


def together(predictors: int) -> float:
    """Seconds a predictor for the same, all predictors and all samples at once."""
    generator = np.random.default_rng(0)
    x = generator.normal(-9.5, 1.7, N_RECORDS)
    guess = x + generator.normal(0, 2, (predictors, N_RECORDS))
    weights = bootstrap_weights(np.arange(N_RECORDS), SAMPLES, generator)
    started = time.process_time()
    for score in METRICS.values():
        score(x, guess, weights)
    return (time.process_time() - started) / predictors


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a table of 4 experiments")
    quick = parser.parse_args().quick
    n_experiments = 4 if quick else EXPERIMENTS
    logging.basicConfig(level=logging.ERROR)
    config = load_config(Path(__file__).resolve().parents[1] / "config.yaml")
    settings = config.evaluate.model_copy(
        update={"seeds": list(SEEDS), "bootstrap_samples": SAMPLES, "compare_with": ["e00", "e01"]}
    )
    started_imports = time.process_time()  # of this process, so it holds the start and the imports
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        predictions, paths = make(folder, n_experiments)
        begun, clock = time.process_time(), time.perf_counter()
        evaluate(
            predictions, table="table1", family="made", method="alignment", **paths, settings=settings,
            experiments={f"e{i:02d}": config.experiments["forest_lengths"] for i in range(n_experiments)},
            metrics=folder / "m", differences=folder / "d", intervals=folder / "i",
        )  # fmt: skip
        spent, waited = time.process_time() - begun, time.perf_counter() - clock
    alone, batched = one_by_one(200) * SAMPLES / 200, together(3 * n_experiments)
    rows = [
        ["experiments x seeds x records x samples", f"{n_experiments} x {len(SEEDS)} x {N_RECORDS} x {SAMPLES}"],
        ["start and imports (CPU s)", f"{started_imports:.1f}"],
        ["evaluate: metrics, differences, intervals (CPU s)", f"{spent:.1f}"],
        ["the same (s on the clock)", f"{waited:.1f}"],
        ["four pooled metrics of one predictor, sample by sample (CPU s)", f"{alone:.2f}"],
        ["the same, all predictors and samples together (CPU s)", f"{batched:.4f}"],
        ["ratio", f"{alone / batched:.0f}"],
    ]
    print(f"{machine(['numpy', 'pandas', 'scipy'])}\n\n{markdown(['', 'value'], rows)}")


if __name__ == "__main__":
    main()
