"""A small, complete and consistent results folder, written through copra.tables; the faults of the tests start here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from copra.config_evaluate import control_name
from copra.config_file import load_config, parse_config
from copra.evaluate.metrics import evaluate
from copra.files import sha256_of_file, sha256_of_text
from copra.parse.affinity import parse_affinity
from copra.pra310.calibrate import calibrate_labels
from copra.pra310.curation import LITERATURE_COLUMNS
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.structure.store import write_interfaces
from copra.tables import TABLES, read_table, write_table

ROOT = Path(__file__).resolve().parents[1]
R_KCAL = 1.98720425864083e-3
# name -> what its predictions say of the language models' weights
EXPERIMENTS = {
    "train_mean": "no language model", "forest": "no language model",
    "coformer": "esm2_random random:0; rinalmo_random random:0",
}  # fmt: skip
# name -> the experiment of config.yaml that it is
SETTINGS_OF = {"train_mean": "train_mean", "forest": "forest_lengths", "coformer": "coformer_structure"}
RECEIPT = {"version": "1", "url": "file:demo"}


def fill(name: str, **values: Any) -> dict[str, Any]:
    """A row of table `name`: the values given, and a neutral one in every other column."""
    neutral: dict[str, Any] = {"string": "", "int": 0, "float": 0.0, "bool": False}
    row = {}
    for column in TABLES[name].columns:
        key, kind = column.split()
        row[key] = values.pop(key, None if kind.endswith("?") else neutral[kind])
    assert not values, values
    return row


def put(path: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows as the table `name`."""
    write_table(pd.DataFrame(rows, columns=TABLES[name].schema().names), path, name)


def protein(number: int) -> str:
    """A protein sequence of its own, unlike the others."""
    generator = np.random.default_rng([7, number])
    return "".join(generator.choice(list("ARNDCQEGHILKMFPSTWYV"), 60))


def rna(number: int) -> str:
    """One of two RNA sequences."""
    return "GGCUAA" if number % 4 == 3 else "ACGUAC"


def write_results(
    folder: Path, *, n: int = 20, folds: int = 5, first_dg: float = -9.5, controls: tuple[str, ...] = ()
) -> Path:
    """Write a whole run of `n` records into `folder`, the first with this dG; returns the path of run.json.

    `controls` are experiments that have a label-shuffled control, whose predictions are drawn at random.
    """
    results, raw = folder / "results", folder / "raw"
    (raw / "sources" / "prbabv2").mkdir(parents=True)
    cells = raw / "sources" / "prbabv2" / "prbabv2.csv"
    generator = np.random.default_rng(3)
    dg = np.round(generator.uniform(-13, -6, n), 3)
    dg[0] = first_dg
    kd = np.exp(dg / (R_KCAL * 298.15))
    ids = [f"1a{i:02d}" for i in range(n)]
    cells.write_text(_cells(ids, kd))
    sha = sha256_of_file(cells)
    receipt = {"source": "prbabv2", "sha256": sha, "bytes": cells.stat().st_size, "status": "fetched", "detail": ""}
    cells.with_name("prbabv2.csv.receipt.json").write_text(json.dumps(RECEIPT | receipt))
    missing = {"source": "prdbv3", "sha256": "", "bytes": 0, "status": "missing", "detail": "no mirror answered"}
    (raw / "sources" / "prdbv3").mkdir()
    (raw / "sources" / "prdbv3" / "prdbv3.csv.receipt.json").write_text(json.dumps(RECEIPT | missing))
    entries = raw / "sources" / "pdb_entries" / "entries.txt"
    entries.parent.mkdir()
    entries.write_text("\n".join(ids) + "\n")
    receipt |= {"source": "pdb_entries", "sha256": sha256_of_file(entries), "bytes": entries.stat().st_size}
    entries.with_name("entries.txt.receipt.json").write_text(json.dumps(RECEIPT | receipt))
    _parsed(results, cells)
    _parsed(results, raw / "sources/prdbv3/prdbv3.csv")
    _structures(results, ids)
    curation = folder / "curation"
    curation.mkdir()
    (curation / "corrections.yaml").write_text("corrections: []\n")
    (curation / "literature.tsv").write_text("\t".join(LITERATURE_COLUMNS) + "\n")
    expected = (ROOT / "resources/curation/expected_counts.yaml").read_bytes()
    (curation / "expected_counts.yaml").write_bytes(expected)
    (curation / "sources.tsv").write_bytes((ROOT / "resources/curation/sources.tsv").read_bytes())
    dg = _labels(folder, ids)
    fold = np.arange(n) % folds
    rows = [{"record_id": f"{p}:A:B", "cluster": f"{p}:A:B", "fold": int(f)} for p, f in zip(ids, fold, strict=True)]
    put(results / "split/folds.parquet", "folds", rows)
    clusters = [
        {"record_id": r["record_id"], "cluster": r["cluster"], "protein_clusters": f"p{r['record_id']}"} for r in rows
    ]
    put(results / "split/clusters.parquet", "clusters", clusters)
    put(results / "split/identities.parquet", "identities", _identities(n))
    _predictions(results, ids, dg, fold, generator, controls)
    return _run(folder, results, raw, folds, controls)


def score_results(folder: Path, table: str = "table1", change: dict[str, Any] | None = None) -> Path:
    """Evaluate one table of a run written by `write_results`; returns the folder of its three files.

    `change` are other values of the settings `evaluate`.
    """
    results = folder / "results"
    config = parse_config(json.loads((results / "run.json").read_text())["config"])
    settings = config.evaluate.model_copy(update=change or {})
    names = settings.tables()[table]
    out = results / "evaluate" / table
    paths = [p for name in names for p in (results / "train" / name).glob("seed_*/fold_*/predictions.parquet")]
    evaluate(
        paths, table=table, experiments={name: config.experiments[name] for name in names},
        family=config.split.family, method=config.split.families[config.split.family].method,
        records=results / "pra310/select/records.parquet", folds=results / "split/folds.parquet",
        identities=results / "split/identities.parquet", settings=settings, metrics=out / "metrics.parquet",
        differences=out / "differences.parquet", intervals=out / "intervals.parquet",
    )  # fmt: skip
    return out


def _identities(n: int) -> list[dict[str, Any]]:
    """Identities of the sequences of `write_results`: proteins in turn below 30 %, from 30 to 70 % and above 70 %."""
    keys = [sha256_of_text(protein(number)) for number in range(n)]
    a, b = sorted({sha256_of_text(rna(number)) for number in range(4)})
    sides = {"molecule_type": "rna", "sequence_a": a, "sequence_b": b}
    rows = [fill("identities", **sides, n_residues_a=6, n_residues_b=6, identity=0.3)]
    for i in range(n):
        for j in range(i):
            a, b = sorted((keys[i], keys[j]))
            near = (0.1, 0.5, 0.9)[i % 3] if j == i - 1 and i % 2 else 0.05
            sides = {"molecule_type": "protein", "sequence_a": a, "sequence_b": b}
            rows.append(fill("identities", **sides, n_residues_a=60, n_residues_b=60, identity=near))
    return rows


HEADING = (
    "No,PDB ID,Protein name,RNA name,Kd(Experimental Value),Kd(mol),dG(kcal/mol),Method,pH,T(k),Reference,"
    "Reference location,Buffer\n"
)


def _cells(ids: list[str], kd: np.ndarray) -> str:
    """A PRBABv2 table: one row per entry, one more that the merge drops, one that is not understood."""
    rows = [
        f"{i + 1},{pdb_id.upper()}_A:B,,,{value * 1e9!r} nM,{value!r},{R_KCAL * 298.15 * np.log(value):.3f},,pH 7,"
        f"{'' if i % 2 else 298.15},,Table 1,"
        for i, (pdb_id, value) in enumerate(zip(ids, kd.tolist(), strict=True))
    ]
    rows.append("98,9ZZZ_A:B,,,1 nM,1e-9,-12.278,,,298.15,,,")
    rows.append("99,<b>hostile</b>,,,,,,,,,,,")
    return HEADING + "\n".join(rows) + "\n"


def _parsed(results: Path, cells: Path) -> None:
    source = cells.parent.name
    folder = results / "parsed" / source
    parse_affinity(
        cells, format=source, source=source, version="1", receipt=cells.with_name(f"{cells.name}.receipt.json"),
        measurements=folder / "measurements.parquet", rejects=folder / "rejects.parquet",
    )  # fmt: skip


def _structures(results: Path, ids: list[str]) -> None:
    entries, chains, contacts = [], [], []
    for i, pdb_id in enumerate(ids):
        entries.append(
            fill(
                "entries",
                pdb_id=pdb_id,
                status="read",
                method="X-RAY DIFFRACTION",
                resolution_angstrom=1.5 + i / 10,
                n_residues=66,
            )
        )
        for chain, kind, sequence in (("A", "protein", protein(i)), ("B", "RNA", rna(i))):
            key = sha256_of_text(sequence)
            values = {"molecule_type": kind, "sequence": sequence, "sequence_sha256": key, "n_residues": len(sequence)}
            chains.append(fill("chains", pdb_id=pdb_id, chain=chain, **values))
        near = {"protein_chain": "A", "rna_chain": "B", "n_residue_contacts": 5, "min_distance_angstrom": 2.8}
        contacts.append(fill("contacts", pdb_id=pdb_id, **near))
    entries.append(
        fill(
            "entries", pdb_id="9bad", status="quarantined", reason="not_a_coordinate_file", detail="<script>x</script>"
        )
    )
    for name, rows in (("entries", entries), ("chains", chains), ("contacts", contacts)):
        put(results / f"structures/{name}.parquet", name, rows)
    write_interfaces([interface(i, pdb_id) for i, pdb_id in enumerate(ids)], results / "interfaces/pra310/0.h5")


def interface(number: int, pdb_id: str) -> Interface:
    """A tiny interface of one residue and one nucleotide."""
    arrays = {name: np.zeros((2, *shape), dtype=kind) for name, (kind, shape) in NODE_ARRAYS.items()}
    arrays |= {"molecule": np.array([0, 1], dtype="u1"), "chain": np.array([0, 1], dtype="i2")}
    keys = (sha256_of_text(protein(number)), sha256_of_text(rna(number)))
    centres = np.zeros((3, 3), dtype="f4")
    return Interface(f"{pdb_id}:A:B", ("A", "B"), keys, centres_angstrom=centres, **arrays)


def _labels(folder: Path, ids: list[str]) -> np.ndarray:
    """Candidates, labels (by the real calibration) and records; returns dG of each id."""
    results = folder / "results"
    measured = read_table(results / "parsed/prbabv2/measurements.parquet", "measurements")
    stated = measured.set_index("pdb_id")["measurement_id"].to_dict()
    candidates = []
    for pdb_id in ids:
        name = {"pdb_id": pdb_id, "protein_chains": "A", "rna_chains": "B", "measurement_ids": stated[pdb_id]}
        candidates.append(fill("candidates", candidate_id=f"{pdb_id}:A:B", n_measurements=1, **name))
    merge, calibrate, select = (results / "pra310" / step for step in ("merge", "calibrate", "select"))
    put(merge / "candidates.parquet", "candidates", candidates)
    drop = {"step": "merge", "subject": stated["9zzz"], "rule": "mutant_construct", "verdict": "drop"}
    put(merge / "decisions.parquet", "decisions", [fill("decisions", note="<i>9zzz</i>", **drop)])
    calibrate_labels(
        merge / "candidates.parquet", measurements=[results / "parsed/prbabv2/measurements.parquet"],
        settings=load_config(ROOT / "config.yaml").pra310, corrections=folder / "curation/corrections.yaml",
        labels=calibrate / "labels.parquet", noise=calibrate / "label_noise.parquet",
        decisions=calibrate / "decisions.parquet", funnel=calibrate / "funnel.parquet",
    )  # fmt: skip
    labels = read_table(calibrate / "labels.parquet", "labels")
    records = []
    for i, label in enumerate(labels.to_dict("records")):
        values = {
            "protein_sequences": protein(i), "rna_sequences": rna(i), "protein_sha256": sha256_of_text(protein(i)),
            "rna_sha256": sha256_of_text(rna(i)), "n_protein_chains": 1, "n_rna_chains": 1,
            "n_protein_residues": 60, "n_rna_nucleotides": 6, "in_pra201": i % 3 != 0, "in_dg_window": True,
        }  # fmt: skip
        records.append(fill("records", record_id=label.pop("candidate_id"), **label, **values))
    put(select / "records.parquet", "records", records)
    put(select / "decisions.parquet", "decisions", [])
    n = len(ids)
    steps = [(merge, 100, "mutant_construct", n + 1, n), (select, 300, "protein_length", n + 3, n)]
    for path, order, reason, before, after in steps:
        row = {"step": path.name, "reason": reason, "rows_in": before, "rows_out": after}
        put(path / "funnel.parquet", "funnel", [fill("funnel", dataset="pra310", order=order, **row)])
    return labels["dg_kcal_mol"].to_numpy()


def _predictions(
    results: Path, ids: list[str], dg: np.ndarray, fold: np.ndarray, generator: np.random.Generator,
    controls: tuple[str, ...],
) -> None:  # fmt: skip
    weights = EXPERIMENTS | {control_name(name): EXPERIMENTS[name] for name in controls}
    for experiment in weights:
        for seed in (1, 2):
            guess = dg + generator.normal(0, 2 if experiment == "forest" else 1, len(ids))
            if experiment not in EXPERIMENTS:
                guess = generator.normal(dg.mean(), dg.std(), len(ids))
            for f in range(int(fold.max()) + 1):
                here = fold == f
                if experiment == "train_mean":
                    guess[here] = dg[~here].mean()
                rows = [
                    fill("predictions", experiment=experiment, protocol="nested", seed=seed, fold=f, part="test",
                         record_id=f"{ids[i]}:A:B", measured_dg_kcal_mol=float(dg[i]),
                         predicted_dg_kcal_mol=float(guess[i]), weights=weights[experiment],
                         architecture="official" if experiment == "coformer" else "")
                    for i in np.flatnonzero(here)
                ]  # fmt: skip
                put(results / f"train/{experiment}/seed_{seed}/fold_{f}/predictions.parquet", "predictions", rows)


def _run(folder: Path, results: Path, raw: Path, folds: int, controls: tuple[str, ...]) -> Path:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["paths"] = {"raw": str(raw), "by_hand": "by_hand", "results": str(results)}
    config["paths"]["curation"] = str(folder / "curation")
    config["split"]["folds"] = folds
    config["sources"] = {
        name: config["sources"][name] | {"version": "1", "filename": f"{name}.csv"} for name in ("prbabv2", "prdbv3")
    }
    config["experiments"] = {name: config["experiments"][of] for name, of in SETTINGS_OF.items()}
    no_sets = {"cv_source": None, "blind_source": None, "extra_sources": []}
    config["mutations"] |= no_sets | {"experiments": {}, "table2": []}
    config["evaluate"] |= {
        "table1": list(EXPERIMENTS),
        "table3": [],
        "table4": [],
        "figure3": [],
        "controls": list(controls),
        "by_family": {"families": [], "experiments": []},
        "compare_with": ["forest"],
        "seeds": [1, 2],
        "control_seeds": [1, 2],
        "bootstrap_samples": 200,
        "noise_ceiling_pcc": 0.9,
    }
    path = results / "run.json"
    versions = {"python": "3.11", "copra": "0.1.0"}
    path.write_text(
        json.dumps({"config": config, "git_commit": "abc123", "versions": versions, "command": "snakemake"})
    )
    return path
