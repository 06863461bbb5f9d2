"""Speed and memory of measuring interfaces for the baselines: records per second by step, and a ribosome.

    python benchmarks/interface_features.py [--structures FOLDER] [--rounds 3]

Prints Markdown. A record is the largest group of touching chains of an entry, as in benchmarks/structures.py; the
entries stand in one store, as a shard's do. Every round is a fresh process with one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from measuring import MIB, machine, markdown, medians, run_job
from ribosome import write_ribosome
from structure_jobs import Clock, chain_set, pdb_id_of
from structures import RIBOSOME_TILE_ATOMS, ROOT, coordinate_files, nearest, tell

from copra.errors import InputError
from copra.structure.interface import chain_contacts
from copra.structure.interface_properties import interface_properties, interface_size
from copra.structure.measure import measure_interfaces
from copra.structure.partners import find_partners
from copra.structure.reader import read_structure
from copra.structure.signatures import REACH_ANGSTROM, distance_signatures
from copra.structure.store import StructureStore, write_structures
from copra.structure.surface import buried_area_angstrom2
from copra.tables import TABLES, read_table, write_table

CUTOFF_ANGSTROM = 5.0
NEUTRAL = {"string": "", "int": 0, "float": 0.0, "bool": False}
STEPS = ("read from the store", "pairs", "signatures", "properties", "buried area")


def make_store(paths: list[str], store: str, records: str) -> dict[str, Any]:
    """Read files into a store and make a record of the largest group of touching chains of each."""
    kinds = dict(column.split() for column in TABLES["records"].columns)
    structures, rows = [], []
    for path in paths:
        try:
            structure = read_structure(Path(path), pdb_id_of(path))
        except InputError:
            continue
        contacts = chain_contacts(structure, CUTOFF_ANGSTROM)
        if not contacts:
            continue
        sides = [",".join(side) for side in chain_set(contacts)]
        row = {"record_id": ":".join((structure.pdb_id, *sides)), "pdb_id": structure.pdb_id}
        row |= {"protein_chains": sides[0], "rna_chains": sides[1]}
        rows.append({name: row.get(name, NEUTRAL.get(kind)) for name, kind in kinds.items()})
        structures.append(structure)
    write_structures(structures, Path(store))
    write_table(pd.DataFrame(rows, columns=list(kinds)), Path(records), "records")
    return {"records": len(rows), "atoms": int(sum(len(s.arrays["atom_name"]) for s in structures))}


def verb(store: str, records: str) -> dict[str, Any]:
    """The whole verb, its table written."""
    with tempfile.TemporaryDirectory() as folder:
        started, processor = time.perf_counter(), time.process_time()
        out = Path(folder) / "out.parquet"
        measure_interfaces(Path(records), store=Path(store), contact_cutoff_angstrom=CUTOFF_ANGSTROM, out=out)
        return {"verb_s": time.perf_counter() - started, "verb_cpu_s": time.process_time() - processor}


def steps(store: str, records: str) -> dict[str, Any]:
    """Processor seconds of each step, added up over the records."""
    clock = Clock(*STEPS)
    with StructureStore(Path(store)) as structures:
        for row in read_table(Path(records), "records").itertuples():
            sides = str(row.protein_chains).split(","), str(row.rna_chains).split(",")
            structure = clock(STEPS[0], structures.read, str(row.pdb_id))
            partners = clock(STEPS[1], find_partners, structure, "x", *sides, REACH_ANGSTROM)
            clock(STEPS[2], distance_signatures, partners)
            clock(STEPS[3], interface_properties, partners, CUTOFF_ANGSTROM, 0.0)
            clock(STEPS[3], interface_size, partners, CUTOFF_ANGSTROM, 0.0)
            clock(STEPS[4], buried_area_angstrom2, structure, "x", *sides)
    return clock.seconds


def measured(name: str, paths: list[str], folder: Path, rounds: int) -> list[str]:
    """One row of the table."""
    place = {"store": str(folder / f"{name}.h5"), "records": str(folder / f"{name}.parquet")}
    made = run_job("interface_features.make_store", 1, paths=paths, **place)
    found = []
    for number in range(rounds):
        tell(f"{name}: round {number + 1} of {rounds}")
        found.append(
            run_job("interface_features.verb", 1, **place) | run_job_of_steps(place)  # in turns
        )
    median = medians(found)
    count = made["records"]
    return [
        name,
        str(count),
        f"{made['atoms'] / count:,.0f}",
        f"{median['verb_s']:.2f}",
        f"**{count / median['verb_s']:.1f}**",
        f"{count / median['verb_cpu_s']:.1f}",
        *(f"{1e3 * median[step] / count:.1f}" for step in STEPS),
        f"{median['peak_bytes'] / MIB:.0f}",
    ]


def run_job_of_steps(place: dict[str, str]) -> dict[str, float]:
    """The steps' seconds alone: memory and time of day are the verb's."""
    found = run_job("interface_features.steps", 1, **place)
    return {step: found[step] for step in STEPS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    files = coordinate_files(arguments.structures)
    print(f"{machine(('numpy', 'scipy', 'h5py', 'pandas'))}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = str(ROOT / "config.yaml")
        sizes = run_job("structure_jobs.sizes", 1, paths=files, config=config)["files"]
        source = nearest(sizes, RIBOSOME_TILE_ATOMS)
        ribosome = str(folder / "ribosome.cif.gz")
        write_ribosome(source["path"], source["proteins"], source["rnas"], ribosome)
        rows = [
            measured("all files", files, folder, arguments.rounds),
            measured("ribosome", [ribosome], folder, arguments.rounds),
        ]
    heading = ["files", "records", "heavy atoms of an entry", "verb, s", "records/s", "per processor second"]
    print(markdown([*heading, *(f"{step}, ms a record" for step in STEPS), "peak, MiB"], rows))


if __name__ == "__main__":
    main()
