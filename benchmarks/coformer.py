"""Co-Former's training step beside a transcription of its equations that materialises everything.

`python benchmarks/coformer.py [--quick]`; prints Markdown. Every case is a process of its own. See README.md.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from coformer_reference import reference_affinity, reference_coformer
from measuring import GIB, cores, machine, markdown, run_job

from copra.model.coformer import EVERYTHING, AffinityModel, CoformerShape
from copra.model.design import OFFICIAL, PAPER
from copra.model.pair_features import Nodes

# the paper's full outer product has 102,400 channels: materialised, 440 GB; beside the transcription it is squeezed
DESIGNS = {"official": OFFICIAL, "paper, squeezed": replace(PAPER, outer_product="squeezed"), "paper": PAPER}
BATCH, NODES, LM_WIDTH = 16, 259, 640
LEARNING_RATE = 3e-5


def shape_of(design: str, dropout: float) -> CoformerShape:
    """The published size."""
    return CoformerShape(6, 320, 40, 20, 8, 1280, dropout, LM_WIDTH, LM_WIDTH, DESIGNS[design])


def made_inputs(batch: int, length: int) -> tuple[Nodes, torch.Tensor, torch.Tensor]:
    """Interfaces of two chains, two thirds of the residues protein, coordinates at random; and embeddings."""
    generator = torch.Generator().manual_seed(0)
    n_rna = (length - 3) // 3
    n_protein = length - 3 - n_rna
    types = (
        torch.randint(0, 21, (n_protein,), generator=generator),
        torch.randint(21, 26, (n_rna,), generator=generator),
    )
    molecule = torch.tensor([-1] * 3 + [0] * n_protein + [1] * n_rna).repeat(batch, 1)
    index = torch.tensor([-1] * 3 + [*range(n_protein), *range(n_rna)]).repeat(batch, 1)
    nodes = Nodes(
        residue_type=torch.cat((torch.tensor([26, 27, 28]), *types)).repeat(batch, 1),
        molecule=molecule,
        chain=molecule,
        polymer_index=index,
        xyz_angstrom=torch.randn((batch, length, 4, 3), generator=generator) * 10,
        atom_mask=torch.ones((batch, length, 4), dtype=torch.bool),
    )
    return nodes, *(torch.randn((batch, length, LM_WIDTH), generator=generator) for _ in range(2))


# --- jobs, each in a process of its own ---------------------------------------------------------------


def step(way: str, design: str, batch: int, length: int, training: bool, rounds: int) -> dict[str, Any]:
    """Seconds of time of day and of the processors per step (training: forward, backward, Adam; else forward).

    The least of the rounds after one that does not count, which a busy machine disturbs least.
    """
    torch.manual_seed(0)
    shape = shape_of(design, 0.1)
    model = AffinityModel(shape).train(training)
    weights, inputs, labels = dict(model.named_parameters()), made_inputs(batch, length), torch.randn(batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def predicted() -> torch.Tensor:
        if way == "materialised":
            return reference_affinity(weights, shape, *inputs, 0.1 if training else 0.0)
        return model(*inputs)

    def once() -> None:
        if not training:
            with torch.no_grad():
                predicted()
            return
        optimizer.zero_grad()
        (predicted() - labels).square().mean().backward()
        optimizer.step()

    once()
    times = [timed(once) for _ in range(rounds)]
    return {"s": min(wall for wall, _ in times), "processor_s": min(processor for _, processor in times)}


def difference(design: str, batch: int, length: int) -> dict[str, Any]:
    """Largest difference of S, Z, dG and of every gradient, relative to the largest value; no dropout."""
    torch.manual_seed(0)
    shape = shape_of(design, 0.0)
    model, inputs = AffinityModel(shape), made_inputs(batch, length)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # away from 0 and 1, so that none can be ignored
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    own = {name.removeprefix("coformer."): p for name, p in weights.items()}
    found = (model(*inputs), *model.coformer(*inputs))
    expected = (
        reference_affinity(weights, shape, *inputs, 0.0),
        *reference_coformer(own, shape, *inputs, EVERYTHING, 0.0),
    )
    forward = max(relative(a, b) for a, b in zip(found, expected, strict=True))
    directions = [torch.randn_like(x) for x in expected]
    for outputs in (found, expected):
        torch.autograd.backward(outputs, directions)
    found_by_part: dict[str, float] = {"blocks": 0.0, "encoder": 0.0}
    for name, parameter in model.named_parameters():
        theirs = weights[name].grad
        if parameter.grad is not None and theirs is not None and theirs.any():
            kind = "encoder" if "pair_encoder" in name else "blocks"
            found_by_part[kind] = max(found_by_part[kind], relative(parameter.grad, theirs))
    return {"forward": forward, **found_by_part}


def rates() -> dict[str, Any]:
    """FLOP of a square matrix product, bytes read and written of a copy beyond the caches, per processor second."""
    a, b = torch.randn(2048, 2048), torch.randn(64 * 1024**2)
    target = torch.empty_like(b)
    product = min(timed(lambda: a @ a)[1] for _ in range(9))
    copy = min(timed(lambda: target.copy_(b))[1] for _ in range(9))
    return {"flop_per_s": 2 * 2048**3 / product, "bytes_per_s": 2 * 4 * b.numel() / copy}


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return ((a - b).abs().max() / b.abs().max()).item()


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of time of day and of the processors."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


# --- what a step has to do ----------------------------------------------------------------------------


def work_of(design: str, batch: int, length: int) -> dict[str, float]:
    """Floating-point operations of a training step's matrix products as our kernels do them (what they recompute
    included), and bytes of the pair tensor that they read and write."""
    shape = shape_of(design, 0.1)
    d, c, h, n = shape.sequence_width, shape.pair_width, shape.heads, shape.blocks
    squeezed, mlp = shape.design.outer_product == "squeezed", shape.design.pair_feed_forward
    e = shape.outer_product_width if squeezed else d
    projection = c * c if shape.design.pair_update == "twice" else 0
    pairs, nodes = batch * length**2, batch * length
    full, updated = n - 1 + 1 / length, n - 2 + 1 / length  # blocks' worth of rows: the last one has one
    attention = (c * h + 2 * d) + (3 * c * h + 5 * d)  # forward + backward, a pair
    update = 4 * (projection + e * c) + (4 * c * c + 6 * c * c if mlp else 0)
    encoder = 4 * (16 * c + 26 * c + 4 * c * c)
    feed_forward = 2 * 4 * d * d if shape.design.feed_forward == "relu" else 3 * d * (8 * d // 3)
    node = (4 * d * d + feed_forward + (d * e if squeezed else 0)) * 3 * full + 3 * e * e * c * updated
    node += 2 * LM_WIDTH * d * 2 * 2
    passes = 4 * full + 5 * updated + (5 * updated if mlp else 0) + 2  # of reads and writes of Z
    return {
        "pair FLOP": 2 * pairs * (attention * full + update * updated + encoder),
        "node FLOP": 2 * nodes * node,
        "bytes": 4 * c * pairs * passes,
    }


# --- the tables ---------------------------------------------------------------------------------------


def training_table(rounds: int) -> str:
    """Time and peak memory of a training step, both designs."""
    rows = []
    for design in ("official", "paper, squeezed", "paper"):
        cases = {}
        ways = {"official": ("materialised", "ours", "ours without compiler"), "paper": ("ours",)}
        for way in ways.get(design, ("materialised", "ours")):
            load = os.getloadavg()[0]
            found = case(way, design, BATCH, NODES, True, rounds)
            base = cases.setdefault("base", found)
            rows.append(
                [
                    f"{design}: {way}",
                    f"{found['s']:.2f}",
                    f"{base['s'] / found['s']:.1f}",
                    f"{found['processor_s']:.2f}",
                    f"{base['processor_s'] / found['processor_s']:.1f}",
                    f"{found['peak_bytes'] / GIB:.2f}",
                    f"{base['peak_bytes'] / found['peak_bytes']:.1f}",
                    f"{load:.1f}",
                ]
            )
    heading = ["step", "s", "times faster", "processor s", "times less", "peak, GiB", "times less", "load before"]
    return markdown(heading, rows)


def case(
    way: str, design: str, batch: int, length: int, training: bool, rounds: int, threads: int = 0
) -> dict[str, Any]:
    """One `step` job."""
    os.environ["COPRA_PAIR_KERNELS"] = "torch" if way == "ours without compiler" else ""
    threads = threads or cores()
    return run_job(
        "coformer.step", threads, way=way, design=design, batch=batch, length=length, training=training, rounds=rounds
    )


def growth_table(batch: int, rounds: int, lengths: tuple[int, ...]) -> str:
    """Processor seconds of a training step on one thread over the number of nodes, and the exponent between sizes."""
    rows, last = [], None
    for length in lengths:
        found = case("ours", "official", batch, length, True, rounds, threads=1)
        exponent = math.log(found["processor_s"] / last[1]) / math.log(length / last[0]) if last else None
        rows.append(
            [
                str(length),
                f"{found['processor_s']:.3f}",
                f"{exponent:.2f}" if exponent is not None else "",
                f"{found['peak_bytes'] / GIB:.2f}",
            ]
        )
        last = (length, found["processor_s"])
    return markdown(["nodes", "processor s", "exponent", "peak, GiB"], rows)


def floor_table(seconds: dict[str, float], rate: dict[str, float]) -> str:
    """FLOPs and bytes of a step, the time the machine needs for them at its own rates, and the distance from it."""
    rows = []
    for design, spent in seconds.items():
        work = work_of(design, BATCH, NODES)
        flop = work["pair FLOP"] + work["node FLOP"]
        by_flop, by_bytes = flop / rate["flop_per_s"], work["bytes"] / rate["bytes_per_s"]
        rows.append(
            [
                design,
                f"{work['pair FLOP'] / 1e9:.0f}",
                f"{work['node FLOP'] / 1e9:.0f}",
                f"{work['bytes'] / 1e9:.1f}",
                f"{by_flop:.2f}",
                f"{by_bytes:.2f}",
                f"{spent:.2f}",
                f"{spent / (by_flop + by_bytes):.1f}",
            ]
        )
    heading = [
        "design",
        "pair GFLOP",
        "node GFLOP",
        "GB of Z",
        "s for FLOP",
        "s for bytes",
        "processor s",
        "over the floor",
    ]
    return markdown(heading, rows)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, no growth beyond 256 nodes")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 3
    print(f"{machine(['torch'])}\n\n## Training step, {BATCH} x {NODES} nodes, {cores()} threads\n", flush=True)
    print(f"\n{training_table(rounds)}\n\n## Difference from the transcription, no dropout\n", flush=True)
    found = {
        name: run_job("coformer.difference", cores(), design=name, batch=2, length=NODES) for name in list(DESIGNS)[:2]
    }
    rows = [[name, f"{x['forward']:.1e}", f"{x['blocks']:.1e}", f"{x['encoder']:.1e}"] for name, x in found.items()]
    print(markdown(["design", "S, Z, dG", "gradients", "of the pair encoder"], rows), "\n\n## Inference\n", flush=True)
    rows = []
    for design in ("official", "paper, squeezed"):
        slow, fast = (case(way, design, BATCH, NODES, False, rounds) for way in ("materialised", "ours"))
        ratios = [slow[key] / fast[key] for key in ("s", "processor_s", "peak_bytes")]
        rows.append([design, f"{slow['s']:.2f}", f"{fast['s']:.2f}", *(f"{ratio:.1f}" for ratio in ratios)])
    heading = ["design", "materialised, s", "ours, s", "times faster", "times less processor s", "times less memory"]
    print(markdown(heading, rows), "\n\n## One thread, distance from the floor\n", flush=True)
    rate = run_job("coformer.rates", 1)
    single = {name: case("ours", name, BATCH, NODES, True, rounds, threads=1)["processor_s"] for name in DESIGNS}
    print(
        f"{rate['flop_per_s'] / 1e9:.0f} GFLOP/s, {rate['bytes_per_s'] / 1e9:.1f} GB/s\n\n{floor_table(single, rate)}"
    )
    lengths = (64, 128, 256) if quick else (64, 128, 256, 512)
    print(f"\n## Growth, batch of 4, one thread\n\n{growth_table(4, rounds, lengths)}", flush=True)
    print(f"\nload at the end {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
