"""Tokens per second of the embedding, and reading the store against a training step.

    python benchmarks/embeddings.py [--sequences ../shared/data/labels/pra310.csv] [--sample 100] [--rounds 2]

The proteins are a seeded sample of those of the given table of complexes (columns `Protein sequences`, as chain:letters
joined by commas), in file order; the models have random weights, batches and shards are those of config.yaml. All runs
in one process in turn, so the ratios are of one run. Prints Markdown; the exit status is 1 where batching gains less
than 2 over plain padding, the verb takes 10 % more than the bare forward pass, or 16 complexes are not read 20 times
faster than a training step.

The training step is a lower bound: forward and backward pass of 4 complexes, where a step of the run has 16.
"""

from __future__ import annotations

import argparse
import csv
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measuring import machine, markdown, median_ratio, medians

from copra.config import Coformer, Embed
from copra.config_file import load_config
from copra.embed.esm2 import padded
from copra.embed.fasta import chosen_model
from copra.embed.language_models import LanguageModel, load_language_model
from copra.embed.shard import compute_parts, describe
from copra.embed.store import Stored, read_embeddings, write_embeddings
from copra.embed.windows import token_batches
from copra.files import sha256_of_text
from copra.model.coformer import AffinityModel, shape_of
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.train.data import build_sample, collate

ROOT = Path(__file__).resolve().parent.parent
LABELS = ROOT.parent / "shared" / "data" / "labels" / "pra310.csv"
SEED, PLAIN_BATCH, COMPLEXES, STEP_COMPLEXES, WIDTH = 7, 16, 16, 4, 1280
LEAST_GAIN, MOST_OVERHEAD, LEAST_READING = 2.0, 1.1, 20.0


def proteins_of(path: Path, sample: int) -> list[str]:
    """A seeded sample of the distinct protein sequences of a table, in file order, whole or cut to 1,022."""
    with path.open(newline="", encoding="utf-8-sig") as handle:
        cells = [row["Protein sequences"] for row in csv.DictReader(handle)]
    distinct = list(dict.fromkeys(part.rpartition(":")[2].strip()[:1022] for cell in cells for part in cell.split(",")))
    chosen = np.random.default_rng(SEED).choice(len(distinct), min(sample, len(distinct)), replace=False)
    return [distinct[i] for i in sorted(chosen)]


def seconds(job: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def measure_batching(size: str, sequences: list[str], settings: Embed, n_rounds: int, folder: Path) -> dict[str, float]:
    """Median seconds of embedding the sequences in four ways, plain padding to ours, ours to the bare passes."""
    chosen, _ = chosen_model("esm2", size, "random:0")
    model = load_language_model(chosen, None)
    texts = {sha256_of_text(sequence): sequence for sequence in sequences}
    description = describe(f"esm2_{size}", chosen, None, settings)
    model.embed(sequences[:1])
    shapes = {key: (1, len(text)) for key, text in texts.items()}
    batches = [[texts[key] for key in batch] for batch in token_batches(shapes, settings.max_tokens_per_batch)]
    rounds = [
        {
            "ours": seconds(lambda: compute_parts(texts, folder / size, description, model, settings)),
            "bare": seconds(lambda: bare(model, batches)),
            "plain": seconds(lambda: [model.embed(sequences[i : i + PLAIN_BATCH]) for i in starts(sequences)]),
            "single": seconds(lambda: [model.embed([sequence]) for sequence in sequences]),
        }
        for _ in range(n_rounds)
    ]
    ratios = {"gain": median_ratio(rounds, "plain", "ours"), "overhead": median_ratio(rounds, "ours", "bare")}
    return medians(rounds) | ratios


def starts(sequences: list[str]) -> range:
    """The first sequence of each batch of plain padding."""
    return range(0, len(sequences), PLAIN_BATCH)


@torch.inference_mode()
def bare(model: LanguageModel, batches: list[list[str]]) -> None:
    """The forward passes alone."""
    for batch in batches:
        model.encoder(padded([model.tokenize(sequence) for sequence in batch], model.padding).to(model.device))


def measure_reading(sequences: list[str], settings: Embed, folder: Path) -> tuple[float, float]:
    """Seconds of reading a protein and an RNA of 16 random complexes, median of 20; file bytes over float16 bytes."""
    generator = np.random.default_rng(SEED)
    rnas = ["".join(generator.choice(list("ACGU"), n)) for n in generator.integers(5, 120, len(sequences))]
    chosen, _ = chosen_model("esm2", "650M", "random:0")
    description = describe("made", chosen, None, settings)
    noise = generator.normal(size=(1022, WIDTH)).astype(np.float16)
    paths: dict[str, list[Path]] = {"protein": [], "rna": []}
    for kind, texts in (("protein", sequences), ("rna", rnas)):
        for shard in range(settings.shards):
            own = {sha256_of_text(t): len(t) for t in texts[shard :: settings.shards]}
            path = folder / kind / f"{shard}.h5"
            stored = [(key, Stored(noise[:n], 0.0, 0.0)) for key, n in own.items()]
            write_embeddings(path, dict(sorted(own.items())), description, stored)
            paths[kind].append(path)
    raw = sum(map(len, (*sequences, *rnas))) * WIDTH * 2
    n_bytes = sum(path.stat().st_size for kind in paths.values() for path in kind)

    def read() -> None:
        chosen = generator.choice(len(sequences), COMPLEXES, replace=False)
        read_embeddings(paths["protein"], [sha256_of_text(sequences[i]) for i in chosen])
        read_embeddings(paths["rna"], [sha256_of_text(rnas[i]) for i in chosen])

    return float(np.median([seconds(read) for _ in range(20)])), n_bytes / raw


def measure_step() -> float:
    """Seconds of the forward and backward pass of a few complexes of 256 residues at the size of config.yaml."""
    experiment = load_config(ROOT / "config.yaml").experiments["coformer_scratch"]
    assert isinstance(experiment, Coformer)
    n, generator = experiment.interface_nodes, np.random.default_rng(SEED)
    arrays = {name: np.zeros((n, *shape), dtype=kind) for name, (kind, shape) in NODE_ARRAYS.items()}
    arrays["molecule"] = arrays["chain"] = (np.arange(n) >= n - 30).astype(np.uint8)
    arrays["chain"] = arrays["chain"].astype(np.int16)
    arrays["polymer_index"] = np.arange(n, dtype=np.int32)
    arrays["backbone_xyz_angstrom"] = generator.normal(0, 15, (n, 4, 3)).astype(np.float32)
    arrays["backbone_mask"] = np.ones((n, 4), dtype=np.bool_)
    complex_ = Interface("made:A:B", ("A", "B"), ("a", "b"), centres_angstrom=np.zeros((3, 3), np.float32), **arrays)
    rows = generator.normal(size=(n, WIDTH)).astype(np.float32)
    sample = build_sample(complex_, n, 0.0, {"a": rows}, {"b": rows})
    batch = collate([sample] * STEP_COMPLEXES, torch.device("cpu"))
    model = AffinityModel(shape_of(experiment, experiment.head_width, WIDTH, WIDTH))
    return seconds(lambda: model(batch.nodes, batch.protein_lm, batch.rna_lm).square().mean().backward())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the embedding and of its store.")
    parser.add_argument("--sequences", type=Path, default=LABELS)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--sample-35m", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    print(machine(("torch", "fair-esm", "h5py")) + "\n")
    settings = load_config(ROOT / "config.yaml").embed
    rows, wrong = [], False
    with tempfile.TemporaryDirectory(prefix="copra-embeddings-") as name:
        for size, n in (("8M", options.sample), ("35M", options.sample_35m)):
            sequences = proteins_of(options.sequences, n)
            n_residues = sum(map(len, sequences))
            found = measure_batching(size, sequences, settings, options.rounds, Path(name))
            gain, overhead = found["gain"], found["overhead"]
            wrong |= gain < LEAST_GAIN or overhead > MOST_OVERHEAD
            speed = [f"{n_residues / found[way]:.0f}" for way in ("ours", "single", "plain", "bare")]
            rows.append((f"ESM-2 {size}, {len(sequences)} proteins", *speed, f"{gain:.2f}", f"{overhead:.2f}"))
        read_s, size_ratio = measure_reading(proteins_of(options.sequences, 400), settings, Path(name))
    step_s = measure_step()
    heading = ("residues/s", "ours", "one by one", "plain padding", "bare forward", "ours / plain", "time / bare")
    print(markdown(heading, rows))
    print(
        f"\n{COMPLEXES} complexes read in {read_s * 1000:.1f} ms from all shards; forward and backward pass of "
        f"{STEP_COMPLEXES} complexes {step_s * 1000:.0f} ms: ratio {step_s / read_s:.0f}. "
        f"Files are {size_ratio:.4f} of raw float16."
    )
    return int(wrong or step_s / read_s < LEAST_READING)


if __name__ == "__main__":
    sys.exit(main())
