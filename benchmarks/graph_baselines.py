"""What the graph baselines cost to train: one core, the sizes of config.yaml, and what five folds come to.

`python benchmarks/graph_baselines.py [--quick]`; prints Markdown. Every case is a process of its own. See README.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from coformer import made_inputs
from measuring import cores, machine, markdown, run_job
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from copra.config_experiments import Egnn, Gat, Gcn, Gvp
from copra.train.models import build_model

CONFIG = Path(__file__).parents[1] / "config.yaml"
KINDS = {"gcn": Gcn, "gat": Gat, "egnn": Egnn, "gvp": Gvp}
BATCH, NODES = 16, 131  # 128 residues and the special nodes
FOLDS, TRAINING, VALIDATION = 5, 200, 50  # of 310 records: a fold left out, a fifth of the rest chooses the epoch
EPOCHS = (60, 120)  # early stopping after half of the epochs, and all of them


def step(name: str, rounds: int) -> dict[str, Any]:
    """Processor seconds of a training step and of a prediction of one batch, least of the rounds; and its FLOP.

    FLOP are those of matrix products, with the rate that one of the size of a message layer reaches here.
    """
    torch.use_deterministic_algorithms(True)  # as in training
    torch.manual_seed(0)
    experiment = KINDS[name](**yaml.safe_load(CONFIG.read_text())["experiments"][name])
    model: nn.Module = build_model(experiment, 0, 0).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=experiment.learning_rate)
    nodes, labels = made_inputs(BATCH, NODES)[0], torch.randn(BATCH)

    def train() -> None:
        optimizer.zero_grad()
        (model(nodes, None, None) - labels).square().mean().backward()
        optimizer.step()

    def predict() -> None:
        with torch.no_grad():
            model(nodes, None, None)

    with FlopCounterMode(display=False) as counter:
        train()
    found = {"train_s": least(train, rounds), "predict_s": least(predict, rounds), "flop": counter.get_total_flops()}
    a, b = torch.randn(NODES * experiment.neighbours, experiment.width), torch.randn(experiment.width, experiment.width)
    product_s = least(lambda: a @ b, 10 * rounds)
    rate = 2 * a.numel() * experiment.width / product_s
    return {**found, "flop_per_s": rate, "parameters": sum(p.numel() for p in model.parameters())}


def least(work: Callable[[], Any], rounds: int) -> float:
    """Processor seconds of the fastest round, which a busy machine disturbs least; one before it does not count."""
    times = []
    for _ in range(rounds + 1):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times[1:])


def fold_minutes(found: dict[str, Any], epochs: int) -> float:
    """Minutes of all folds on two cores: on each a fold at a time, one thread."""
    epoch_s = (TRAINING * found["train_s"] + VALIDATION * found["predict_s"]) / BATCH
    return FOLDS * epochs * epoch_s / 2 / 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of ten")
    rounds = 2 if parser.parse_args().quick else 10
    print(f"{machine(['torch'])}; {cores()} cores to use, 1 thread each\n")
    found = {name: run_job("graph_baselines.step", 1, name=name, rounds=rounds) for name in KINDS}
    rows = []
    for name, f in found.items():
        per_sample_ms = 1000 / BATCH
        floor_s = f["flop"] / f["flop_per_s"]
        rows.append((
            name, f"{f['parameters']:,}", f"**{f['train_s'] * per_sample_ms:.1f}**",
            f"{f['predict_s'] * per_sample_ms:.1f}", f"{f['flop'] / BATCH / 1e9:.2f}",
            f"{f['flop_per_s'] / 1e9:.0f}", f"{100 * floor_s / f['train_s']:.0f} %",
            *(f"{fold_minutes(f, epochs):.1f}" for epochs in EPOCHS), f"{f['peak_bytes'] / 2**20:.0f}",
        ))  # fmt: skip
    total = [f"**{sum(fold_minutes(f, epochs) for f in found.values()):.1f}**" for epochs in EPOCHS]
    heading = (
        "model", "parameters", "training step, ms/sample", "prediction, ms/sample", "GFLOP/sample",
        "GFLOP/s of products", "share of the step that the products need",
        *(f"5 folds x {n} epochs, min" for n in EPOCHS), "peak, MiB",
    )  # fmt: skip
    print(markdown(heading, [*rows, ("all four", *[""] * 6, *total, "")]))


if __name__ == "__main__":
    main()
