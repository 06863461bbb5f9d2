"""Time and memory of the tables at full size: BioLiP2's pairs -> PRI30k -> clusters -> folds.

    python benchmarks/datasets.py [--entries 6000] [--pairs 150000] [--threads 2]

The archive is synthetic and of the size of the real one: a tenth of the entries are ribosomes and have most of the
pairs; each entry gives a record to the split, as if each had an affinity. Every job runs in a fresh process. Prints
Markdown; the exit status is 1 where the jobs of one run together take more than 3 minutes or one of them 2 GiB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from measuring import GIB, MIB, machine, markdown, run_job, run_jobs

ROOT = Path(__file__).resolve().parent.parent
MAX_S, MAX_BYTES = 180, 2 * GIB
SEED = 7
PACKAGES = ("pandas", "numpy", "scipy", "pyarrow")


def jobs(config: dict[str, Any], threads: int) -> list[tuple[str, str, dict[str, Any]]]:
    """What is run, in order: its name, the job and its arguments. Those named "also" are not part of one run."""
    settings = config["pri30k"]
    other = settings | {"variant": "pairs" if settings["variant"] == "component" else "component"}
    split = config["split"]
    identity = split["families"][split["family"]]["protein_identity"]
    return [
        ("parse-biolip2", "parse", {}),
        (f"build-pri30k, {settings['variant']}", "build", {"settings": settings, "with_biolip2": True}),
        (f"cluster-proteins, {identity:g}", "cluster", {"identity": identity, "threads": threads}),
        ("assign-folds", "deal", {"folds": split["folds"], "seed": config["seed"]}),
        (f"also: build-pri30k, {other['variant']}", "build", {"settings": other, "with_biolip2": True}),
        ("also: build-pri30k, no BioLiP2", "build", {"settings": settings, "with_biolip2": False}),
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and memory of the tables at full size.")
    parser.add_argument("--entries", type=int, default=6000)
    parser.add_argument("--pairs", type=int, default=150_000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    rows, total_s, most = [], 0.0, 0
    with tempfile.TemporaryDirectory(prefix="copra-datasets-") as folder:
        size = {"n_entries": options.entries, "n_pairs": options.pairs, "seed": SEED}
        made = run_job("dataset_jobs.make", 1, folder=folder, **size)
        for name, job, arguments in jobs(config, options.threads):
            [found], _ = run_jobs([(f"dataset_jobs.{job}", {"folder": folder, **arguments})], options.threads)
            memory = max(found["peak_bytes"], found["child_peak_bytes"])
            total_s += 0.0 if name.startswith("also") else found["s"]
            most = max(most, memory)
            rows.append((name, f"{found['s']:.1f}", f"{memory / MIB:.0f}", f"{found['rows']}"))
    rows.append(("**one run**", f"**{total_s:.1f}**", f"**{most / MIB:.0f}**", ""))
    print(f"{machine(PACKAGES)}\n")
    print(f"{made['entries']} entries, {made['chains']} chains, {made['pairs']} pairs, {made['records']} records\n")
    print(markdown(("verb", "s", "peak MiB", "pairs, clusters or folds"), rows))
    return int(total_s > MAX_S or most > MAX_BYTES)


if __name__ == "__main__":
    sys.exit(main())
