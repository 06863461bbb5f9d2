"""The audit's check of the embeddings that the experiments of a run read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.config import LanguageModel
from copra.embed.store import describe_file, find_problem, lengths_of, open_embeddings
from copra.provenance.findings import Finding, judged
from copra.provenance.results import Run, evaluated, some
from copra.tables import read_table

MOLECULE_TYPES = {"esm2": "protein", "rinalmo": "rna"}


def embeddings_whole(run: Run) -> list[Finding]:
    """Every sequence is embedded with all its residues by each language model in use, and the files are undamaged."""
    names = {name for part in evaluated(run) for name in part.experiments}
    used = {
        lm
        for name in names
        for lm in (getattr(run.config.experiments[name], side, None) for side in ("protein_lm", "rna_lm"))
        if lm is not None
    }
    if not used:
        return [Finding("all", "pass", "no experiment of this run uses a language model")]
    sequences = read_table(run.results / "embeddings/sequences.parquet", "sequences")
    receipts = {str(r.get("source")): f"sha256:{r.get('sha256')}" for r in run.receipts()}
    problems = {}
    for name in sorted(used):
        model = run.config.language_models[name]
        own = sequences[sequences["molecule_type"] == MOLECULE_TYPES[model.family]]
        weights = receipts.get(model.weights, model.weights)
        for shard in range(run.config.embed.shards):
            path = run.results / "embeddings" / name / f"{shard}.h5"
            problem = _shard_problem(path, name, model, weights, own[own["shard"] == shard])
            if problem:
                problems[f"{name}/{path.name}"] = problem
        lost = own.loc[~own["shard"].isin(range(run.config.embed.shards)), "sequence_sha256"]
        if len(lost):
            problems[name] = f"sequences of no shard: {some(lost)}"
    return judged(problems, f"{len(sequences)} sequences, {len(used)} language models: {', '.join(sorted(used))}")


def _shard_problem(path: Path, name: str, model: LanguageModel, weights: str, expected: pd.DataFrame) -> str:
    problem = find_problem(path)
    if problem:
        return problem
    with open_embeddings(path) as file:
        said, found = describe_file(file), lengths_of(file)
    stated = {"language_model": name, "weights": weights, "layer": model.layers, "width": model.width}
    for key, value in stated.items():
        if said[key] != value:
            return f"{key} is {said[key]}, that of this run is {value}"
    wanted = dict(zip(expected["sequence_sha256"], expected["sequence"].str.len(), strict=True))
    absent = wanted.keys() - found.keys()
    if absent:
        return f"{len(absent)} sequences are not embedded: {some(absent)}"
    short = {key for key, n_residues in wanted.items() if found[key] != n_residues}
    if short:
        return f"{len(short)} sequences have another number of rows than residues: {some(short)}"
    return ""
