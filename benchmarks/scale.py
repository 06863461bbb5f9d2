"""Time and memory of every stage but training, and how they grow with the number of entries.

    python benchmarks/scale.py FOLDER [--entries 600 6000] [--pairs-per-entry 25]
    python benchmarks/scale.py FOLDER --dry-run

Makes a synthetic archive for each number of entries (benchmarks/synthetic_archive.py) and runs the workflow on it, one
job at a time, each verb in a process whose processor seconds and peak memory are taken from the system. What is there
in FOLDER is not made again: a run that was cut off goes on, and a second call prints the table at once. `--dry-run`
times the plan of the full configuration instead. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from measuring import MIB, machine, markdown

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
SEED = 7
PACKAGES = ("snakemake", "pandas", "numpy", "gemmi", "h5py", "torch")
FOLDS = range(5)
LEAST_S = 0.5  # processor seconds beyond the start, below which a growth is noise


def targets(shards: int) -> list[list[str]]:
    """What is made: `all`, the release and what pre-training reads; then, as they take long, a shard of distances."""
    wanted = ["all", "release"]
    wanted += [f"results/split/purge/protein70/fold_{fold}/kept.txt" for fold in FOLDS]
    wanted += [f"results/interfaces/pri30k/{shard}.h5" for shard in range(shards)]
    return [wanted, ["results/interfaces/pri30k_distances/0.h5"]]


def prepare(folder: Path, n_entries: int, n_pairs: int) -> dict[str, int]:
    """Make the archive and the folder in which the workflow runs; returns how many of what are in the archive."""
    archive = folder / "archive"
    if not (archive / "made.json").exists():
        made = [str(archive), "--entries", str(n_entries), "--pairs", str(n_pairs), "--seed", str(SEED)]
        subprocess.run([sys.executable, str(HERE / "synthetic_archive.py"), *made], check=True, stdout=sys.stderr)
    text = (HERE / "scale.yaml").read_text()
    places = {"{archive}": str(archive.resolve()), "{root}": str(ROOT), "{id_mid}": "{mid}", "{id_id}": "{id}"}
    for mark, place in places.items():
        text = text.replace(mark, place)
    (folder / "scale.yaml").write_text(text)
    if not (folder / "config.yaml").exists():
        (folder / "config.yaml").symlink_to(ROOT / "config.yaml")
    found: dict[str, int] = json.loads((archive / "made.json").read_text())
    return found


def environment(folder: Path) -> dict[str, str]:
    """One thread a job, and every verb called by way of scale_job.py."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    measured = {"COPRA_MEASURED": str(folder / "measured.jsonl"), "PYTHONPATH": str(ROOT), "PATH": path}
    return {**os.environ, **limits, **measured, "COPRA_LAUNCHER": f"{sys.executable} {HERE / 'scale_job.py'}"}


def snakemake(folder: Path, *words: str) -> list[str]:
    """The command line of a run in `folder`."""
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*start, "--configfile", str(folder / "scale.yaml"), "--cores", "1", *words]


def run(folder: Path) -> None:
    """Run the workflow as far as it is not done; what snakemake itself took is added to the measurements."""
    shards = yaml.safe_load((folder / "scale.yaml").read_text())["structures"]["shards"]
    before = sum(row["cpu_s"] for row in rows_of(folder))
    started, used = time.monotonic(), _children_s()
    for wanted in targets(shards):
        command = snakemake(folder, "--quiet", "all", "--keep-going", "--", *wanted)
        done = subprocess.run(command, env=environment(folder), stdout=sys.stderr)
        if done.returncode:
            break
    jobs = sum(row["cpu_s"] for row in rows_of(folder)) - before
    told = {"verb": "snakemake", "arguments": [str(started)], "code": done.returncode, "peak_bytes": 0}
    if jobs > 0:
        own = {"wall_s": time.monotonic() - started, "cpu_s": _children_s() - used - jobs}
        with (folder / "measured.jsonl").open("a") as file:
            file.write(json.dumps({**told, **own}) + "\n")
    if done.returncode:
        sys.exit(f"{folder}: snakemake ended with status {done.returncode}")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The measured jobs of a folder that ended well, each the last time that it ran."""
    path = folder / "measured.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    last = {(row["verb"], *row["arguments"]): row for row in map(json.loads, lines)}
    return [row for row in last.values() if row["code"] == 0 or row["verb"] == "snakemake"]


def start_of(folder: Path, verbs: Iterable[str]) -> dict[str, tuple[float, int]]:
    """Processor seconds and peak memory of each verb's start and imports: `copra VERB --help`."""
    path = folder / "starts.json"
    known: dict[str, tuple[float, int]] = json.loads(path.read_text()) if path.exists() else {}
    for verb in sorted(set(verbs) - set(known) - {"snakemake"}):
        used = []
        for _ in range(2):
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", "copra.cli", verb, "--help"],
                {**environment(folder)},
                file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0o600)],
            )
            used.append(os.wait4(pid, 0)[2])
        known[verb] = (min(u.ru_utime + u.ru_stime for u in used), min(u.ru_maxrss for u in used) * 1024)
    path.write_text(json.dumps(known))
    return known


def stages(folder: Path) -> dict[str, dict[str, float]]:
    """Per verb: jobs, processor and wall seconds, and the largest peak of memory of one job in bytes."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: {"jobs": 0, "cpu_s": 0, "wall_s": 0, "peak_bytes": 0})
    for row in rows_of(folder):
        stage = found[row["verb"]]
        stage["jobs"] += 1
        stage["cpu_s"] += row["cpu_s"]
        stage["wall_s"] += row["wall_s"]
        stage["peak_bytes"] = max(stage["peak_bytes"], row["peak_bytes"])
    return dict(found)


def table(folders: dict[int, Path]) -> str:
    """One row per verb: processor seconds at each size, without the start, the growth, and memory."""
    sizes = sorted(folders)
    measured = {size: stages(folders[size]) for size in sizes}
    verbs = list(measured[sizes[-1]])
    starts = start_of(folders[sizes[0]].parent, verbs)
    rows = []
    for verb in verbs:
        of = [measured[size].get(verb) for size in sizes]
        if not all(of):
            continue
        seen = [stage for stage in of if stage]
        start_s, start_bytes = starts.get(verb, (0.0, 0))
        own = [stage["cpu_s"] - stage["jobs"] * start_s for stage in seen]
        rows.append(
            [
                verb, str(int(seen[-1]["jobs"])), *(f"{stage['cpu_s']:.1f}" for stage in seen), f"{start_s:.1f}",
                *(f"{value:.1f}" for value in own), _exponent(own[-2:], sizes[-2:]),
                f"{start_bytes / MIB:.0f}", *(f"{stage['peak_bytes'] / MIB:.0f}" for stage in seen),
            ]
        )  # fmt: skip
    total = [sum(stage["cpu_s"] for stage in measured[size].values()) for size in sizes]
    rows.append(["**all**", "", *(f"**{s:.0f}**" for s in total), *[""] * (2 * len(sizes) + 3)])
    heading = [
        "verb", "jobs", *(f"CPU s, {size}" for size in sizes), "start, s", *(f"own s, {size}" for size in sizes),
        "exponent", "start, MiB", *(f"peak MiB, {size}" for size in sizes),
    ]  # fmt: skip
    return markdown(heading, rows)


def _exponent(own: list[float], sizes: list[int]) -> str:
    if len(own) < 2 or own[1] < LEAST_S:
        return ""
    growth = math.log(own[1] / max(own[0], 1e-3)) / math.log(sizes[1] / sizes[0])
    return f"{growth:.2f}" if own[0] >= LEAST_S / 5 else f"({growth:.2f})"


def plan_s(folder: Path) -> tuple[float, float]:
    """Wall and processor seconds of the plan (`snakemake --dry-run all`) of config.yaml with the archive's sources."""
    full = yaml.safe_load((folder / "scale.yaml").read_text())
    kept = {name: full[name] for name in ("paths", "sources", "fetch")}
    sets = {"cv_source": "mcsm_blind", "blind_source": None, "extra_sources": []}
    weights = {name: {"urls": [f"file:{ROOT}/README.md"]} for name in ("esm2_650M", "rinalmo_giga")}
    kept["sources"] |= weights
    (folder / "full.yaml").write_text(yaml.safe_dump(kept | {"mutations": sets}))
    words = ["--dry-run", "--quiet", "rules", "--configfile", str(folder / "full.yaml"), "--", "all", "release"]
    command = [word for word in snakemake(folder) if word not in ("--configfile", str(folder / "scale.yaml"))]
    started, used = time.monotonic(), _children_s()
    done = subprocess.run([*command, *words], env=environment(folder), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    totals = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if line.startswith("total")]
    print(f"full configuration: {' '.join(totals[-1].split()) if totals else '?'} jobs", file=sys.stderr)
    return time.monotonic() - started, _children_s() - used


def main() -> None:
    """Make, run, print."""
    parser = argparse.ArgumentParser(description="Time and memory of every stage but training.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, nargs="+", default=[600, 6000])
    parser.add_argument("--pairs-per-entry", type=int, default=25)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    folders = {size: options.folder.resolve() / str(size) for size in options.entries}
    print(f"{machine(PACKAGES)}\n")
    for size, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{size} entries: {prepare(folder, size, size * options.pairs_per_entry)}\n")
        if options.dry_run:
            wall_s, cpu_s = plan_s(folder)
            print(f"plan of the full configuration: {wall_s:.1f} s, {cpu_s:.1f} processor s\n")
        else:
            run(folder)
    if not options.dry_run:
        print(table(folders))


if __name__ == "__main__":
    main()
