"""Speed and memory of the structure room: complexes per second by size, beside gemmi, Biopython and a distance map.

    python benchmarks/structures.py [--structures FOLDER] [--rounds 3]

Prints Markdown. Every figure is the median over rounds in which all candidates take turns; every job runs in a fresh
process. What was measured where stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import GIB, MIB, available_bytes, cores, machine, markdown, median_ratio, medians, run_job, run_jobs

ROOT = Path(__file__).resolve().parent.parent
STRUCTURES = ROOT.parent / "shared" / "data" / "structures"
DEMO = ROOT / "resources" / "demo" / "archive" / "structures"
WORKERS = 2  # shard jobs side by side
BINS = ((0, 2000), (2000, 4000), (4000, 8000), (8000, math.inf))  # heavy atoms
STAGE_FILES = 200  # of the whole folder, evenly by size
MEDIAN_FILES = 160  # around the median size
BIOPYTHON_FILES = 6  # of each bin
MAP_RESIDUES = (100, 342, 600)
MAP_MAX_BYTES = 12 * GIB
# residues padded to 41 atoms; of each atom pair three differences and the distance in float32
MAP_BYTES_PER_RESIDUE_PAIR = 41 * 41 * 16
RIBOSOME_TILE_ATOMS = {"protein_atoms": 2000, "rna_atoms": 1470}  # 75 of these are a ribosome
PACKAGES = ("gemmi", "biopython", "numpy", "scipy", "h5py", "torch")

Rounds = list[dict[str, Any]]


def tell(text: str) -> None:
    """Say on standard error how far it is."""
    print(text, file=sys.stderr, flush=True)


def coordinate_files(folder: Path | None) -> list[str]:
    """The files to measure; the demo archive where there is no folder of real structures."""
    if folder is None and not STRUCTURES.is_dir():
        print("../shared/data/structures is not here: these are the synthetic structures of the demo archive.\n")
        folder = DEMO
    folder = folder or STRUCTURES
    files = sorted(str(path) for path in folder.rglob("*") if path.name.endswith((".cif.gz", ".pdb.gz")))
    if not files:
        raise SystemExit(f"{folder}: expected *.cif.gz or *.pdb.gz, found none")
    return files


def evenly(items: list[Any], count: int) -> list[Any]:
    """At most `count` items at even distances."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else items


def nearest(files: list[dict[str, Any]], wanted: dict[str, int]) -> dict[str, Any]:
    """The file whose values are nearest to the wanted ones, by their ratios."""
    return min(files, key=lambda f: (sum(abs(math.log(f[k] / v)) for k, v in wanted.items()), f["path"]))


def bins_of(files: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Files by heavy atoms, a list for each of BINS."""
    return [[f for f in files if low <= f["atoms"] < high] for low, high in BINS]


def sharded(paths: list[str], settings: dict[str, Any]) -> dict[str, float]:
    """The path of shard jobs over the files, WORKERS side by side."""
    jobs = [("structure_jobs.shard", {"paths": paths[i::WORKERS], **settings}) for i in range(min(WORKERS, len(paths)))]
    answers, wall_s = run_jobs(jobs, threads=1)
    return {
        "complexes": sum(answer["complexes"] for answer in answers),
        **{name: max(answer[name] for answer in answers) for name in ("path_s", "verbs_s", "peak_bytes")},
        **{name: sum(answer[name] for answer in answers) for name in ("path_cpu_s", "verbs_cpu_s")},
        "start_s": wall_s - max(answer["job_s"] for answer in answers),
    }


def distance_map(file: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Our search beside the distance map, or why the map was not made."""
    need = file["residues"] ** 2 * MAP_BYTES_PER_RESIDUE_PAIR
    if need > min(MAP_MAX_BYTES, available_bytes() - GIB):
        return {"skipped": need}
    arguments = {name: file[name] for name in ("path", "proteins", "rnas")}
    return run_job("distance_map.compare", cores(), **arguments, **settings)


def measure(files: list[dict[str, Any]], settings: dict[str, Any], rounds: int, folder: Path) -> dict[str, Any]:
    """Everything, `rounds` times in turn: lists of answers by what was measured."""
    files = sorted(files, key=lambda f: (f["atoms"], f["path"]))
    paths = [f["path"] for f in files]
    middle = max(0, len(paths) // 2 - MEDIAN_FILES // 2)
    ribosome = str(folder / "ribosome.cif.gz")
    source = nearest(files, RIBOSOME_TILE_ATOMS)
    tile = {name: source[name] for name in ("proteins", "rnas")}
    made = run_job("ribosome.write_ribosome", 1, source=source["path"], **tile, out=ribosome)
    chosen = evenly(files, STAGE_FILES)
    groups = [[f["path"] for f in group] for group in bins_of(chosen)]
    near = [nearest(files, {"residues": residues}) for residues in MAP_RESIDUES]
    maps = [file for i, file in enumerate(near) if file not in near[:i]]
    found: dict[str, Any] = {"folder": [], "median": [], "bins": [[] for _ in BINS], "maps": [[] for _ in maps]}
    found |= {"made": made, "map_files": maps, "ribosome": [], "ribosome_stages": [], "groups": groups}
    found["median_files"] = files[middle : middle + MEDIAN_FILES]
    for number in range(1, rounds + 1):
        tell(f"round {number} of {rounds}: the whole folder")
        found["folder"].append(sharded(paths, settings))
        found["median"].append(sharded([f["path"] for f in found["median_files"]], settings))
        tell("  stages")
        for answers, group in zip(found["bins"], groups, strict=True):
            if group:
                arguments = {"paths": group, "sample": evenly(group, BIOPYTHON_FILES), **settings}
                answers.append(run_job("structure_jobs.stages", 1, **arguments))
        tell("  distance maps")
        for answers, file in zip(found["maps"], maps, strict=True):
            answers.append(distance_map(file, settings))
        tell("  ribosome")
        found["ribosome"].append(run_job("structure_jobs.shard", 1, paths=[ribosome], **settings))
        arguments = {"paths": [ribosome], "sample": [ribosome], **settings}
        found["ribosome_stages"].append(run_job("structure_jobs.stages", 1, **arguments))
    return found


def folder_table(found: dict[str, Any]) -> str:
    """Complexes per second of two shard jobs."""
    rows = []
    sizes = [f["atoms"] for f in found["median_files"]]
    for name, title in (
        ("folder", "all files"),
        ("median", f"the {len(sizes)} around the median, {min(sizes):,}-{max(sizes):,} heavy atoms"),
    ):
        values = medians(found[name])
        rows.append(
            (
                title,
                f"{values['complexes']:.0f}",
                f"{values['path_s']:.2f}",
                f"**{values['complexes'] / values['path_s']:.0f}**",
                f"{values['complexes'] / values['path_cpu_s']:.0f}",
                f"{values['verbs_s']:.2f}",
                f"{values['complexes'] / values['verbs_s']:.0f}",
                f"{values['complexes'] / values['verbs_cpu_s']:.0f}",
                f"{values['start_s']:.1f}",
                f"{values['peak_bytes'] / MIB:.0f}",
            )
        )
    heading = (
        "files", "complexes", "path, s", "complexes/s", "per processor second", "with buried surface, s", "complexes/s",
        "per processor second", "start of Python, s", "peak of one, MiB",
    )  # fmt: skip
    return markdown(heading, rows)


def _stage_row(title: str, rounds: Rounds) -> tuple[str, ...]:
    values = medians(rounds)
    arrays = values["structure_s"] - values["unpack_s"] - values["parse_s"]
    named = ("structure_s", "contacts_s", "interface_s", "write_s")
    rest = values["path_s"] - sum(values[name] for name in named)
    cells = [values["unpack_s"], values["parse_s"], arrays, *(values[name] for name in named[1:]), rest]
    shares = [f"{cell:.2f} ({100 * cell / values['path_s']:.0f} %)" for cell in cells]
    ratios = [f"**{median_ratio(rounds, name, 'bare_s'):.2f}**" for name in ("structure_s", "path_s")]
    surface = f"+ {values['verbs_s'] - values['path_s']:.2f}"
    return title, *shares, f"{values['path_s']:.2f}", surface, f"{values['bare_s']:.2f}", *ratios


def stage_table(found: dict[str, Any]) -> str:
    """Where the time goes, and how far it is from gemmi's bare parse."""
    done = [rounds for rounds in found["bins"] if rounds]
    together = [{name: sum(part[name] for part in parts) for name in parts[0]} for parts in zip(*done, strict=True)]
    heading = (
        "files", "bytes, sha256, gunzip", "gemmi parse", "our arrays", "contacts", "interface", "HDF5",
        "the rest", "whole path", "buried surface", "bare gemmi", "reading / bare", "path / bare",
    )  # fmt: skip
    n_files = sum(map(len, found["groups"]))
    rows = [_stage_row(f"{n_files} of all sizes", together), _stage_row("ribosome", found["ribosome_stages"])]
    return markdown(heading, rows)


def size_table(found: dict[str, Any]) -> str:
    """Complexes per second of one core by size, beside gemmi and Biopython that only parse."""
    rows = []
    for (low, high), group, rounds in zip(BINS, found["groups"], found["bins"], strict=True):
        if not group:
            continue
        values, sample = medians(rounds), min(BIOPYTHON_FILES, len(group))
        rows.append(
            (
                f"{low:,} and more" if math.isinf(high) else f"{low:,} to {high:,}",
                f"{len(group)}",
                f"{len(group) / values['path_s']:.1f}",
                f"{len(group) / values['bare_s']:.1f}",
                f"{sample / values['sample_s']:.1f}",
                f"{sample / values['biopython_s']:.1f}",
                f"**{median_ratio(rounds, 'biopython_s', 'sample_s'):.1f}**",
            )
        )
    heading = (
        "heavy atoms", "files", "ours, whole path", "gemmi, parse only", "ours on Biopython's files, not written",
        "Biopython, parse only", "ours / Biopython",
    )  # fmt: skip
    return markdown(heading, rows)


def map_table(found: dict[str, Any]) -> str:
    """Our contacts and interface beside the distance map."""
    rows = []
    for file, rounds in zip(found["map_files"], found["maps"], strict=True):
        title = f"{Path(file['path']).name.split('.')[0]}, {file['residues']} residues"
        measured = [found for found in rounds if "skipped" not in found]
        if not measured:
            rows.append((title, f"left out: needs {rounds[0]['skipped'] / GIB:.1f} GiB", "", "", "", ""))
            continue
        values = medians(measured)
        rows.append(
            (
                title,
                f"{values['map_s']:.2f}",
                f"{values['peak_bytes'] / GIB:.1f}",
                f"{1000 * values['ours_s']:.1f}",
                f"**{median_ratio(measured, 'map_s', 'ours_s'):,.0f}**",
                f"{max(found['difference_angstrom'] for found in measured):.0e}",
            )
        )
    heading = ("complex", "map, s", "peak, GiB", "ours, ms", "map / ours", "largest difference, angstrom")
    return markdown(heading, rows)


def ribosome_table(found: dict[str, Any]) -> str:
    """The whole path of one complex of a ribosome's size in a fresh process."""
    made, values, stages = found["made"], medians(found["ribosome"]), medians(found["ribosome_stages"])
    heading = (
        "heavy atoms", "chains", "residue contacts", "whole path, s", "processor s", "with buried surface, s",
        "peak, MiB", "bare gemmi, processor s", "Biopython parse, processor s",
    )  # fmt: skip
    row = (
        f"{made['atoms']:,}",
        f"{made['chains']}",
        f"{values['residue_contacts']:,.0f}",
        f"**{values['path_s']:.2f}**",
        f"{values['path_cpu_s']:.2f}",
        f"{values['verbs_s']:.2f}",
        f"**{values['peak_bytes'] / MIB:.0f}**",
        f"{stages['bare_s']:.2f}",
        f"{stages['biopython_s']:.2f}",
    )
    return markdown(heading, [row])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed and memory of the structure room.")
    parser.add_argument("--structures", type=Path, help="folder of .cif.gz and .pdb.gz files")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    started = time.perf_counter()
    print(f"{machine(PACKAGES)}\n")
    paths = coordinate_files(options.structures)
    tell(f"sizes of {len(paths)} files")
    config = str(ROOT / "config.yaml")
    parts = [{"paths": paths[i::WORKERS], "config": config} for i in range(min(WORKERS, len(paths)))]
    answers, _ = run_jobs([("structure_jobs.sizes", part) for part in parts], threads=1)
    files = [file for answer in answers for file in answer["files"]]
    left_out, settings = sum(answer["left_out"] for answer in answers), answers[0]["settings"]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(files, settings, options.rounds, Path(folder))
    median_atoms = statistics.median(file["atoms"] for file in files)
    print(f"{len(files)} complexes, median {median_atoms:,.0f} heavy atoms; {left_out} files without contacts.")
    for title, table in (
        (f"Parse, contacts, interface, HDF5: {WORKERS} shard jobs side by side", folder_table),
        ("Where the time goes, processor seconds", stage_table),
        ("Complexes per processor second by size", size_table),
        (f"Contacts and interface beside the distance map ({cores()} threads)", map_table),
        ("A complex of a ribosome's size, one core", ribosome_table),
    ):
        print(f"\n{title}:\n\n{table(found)}")
    print(f"\n{options.rounds} rounds, {(time.perf_counter() - started) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
