"""Reads damaged files, each in the way of the pipeline, in a process of its own that may crash, hang or run out."""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import resource
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from damage import Damaged, Rng, Source, load
from damaged_values import KINDS, LARGE_KINDS

from copra.structure.biolip_contacts import chain_bindings
from copra.structure.interface import chain_contacts, cut_interface
from copra.structure.quarantine import DETAIL_LENGTH, IDENTIFIER, MAX_COORDINATE_ANGSTROM, Unreadable
from copra.structure.reader import read_structure
from copra.structure.residues import ATOM_ARRAYS, PROTEIN, RESIDUE_ARRAYS, RNA, Structure
from copra.structure.store import StructureStore, write_interfaces, write_structures

SEED = 20240607
MEMORY_BYTES = 4 * 2**30
HANG_S = 60  # of wall-clock time; what counts is the processor time in `Outcome`


@dataclass(frozen=True)
class Outcome:
    case: int
    kind: str
    source: str
    result: str  # "read" | a reason | what was thrown
    cpu_s: float
    memory_mb: float  # the most that the process has held so far


def kind_of(case: int, n_large: int) -> Callable[[Source, Rng], Damaged]:
    """The first cases are the large files; the others take turns."""
    return LARGE_KINDS[case % len(LARGE_KINDS)] if case < n_large else KINDS[case % len(KINDS)]


def run(paths: list[Path], cases: range, n_large: int, folder: Path) -> list[Outcome]:
    """Run the cases in one child; fails with the number and kind of a case at which the child ended."""
    log = folder / f"outcomes_{cases.start}.jsonl"
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_run_cases, args=(paths, cases, n_large, folder, log))
    child.start()
    child.join()
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    ends = "" if not lines or "result" in lines[-1] else f" in {lines[-1]}"
    assert child.exitcode == 0, f"seed {SEED}: the process ended with {child.exitcode}{ends}"
    return [Outcome(**line) for line in lines if "result" in line]


def _run_cases(paths: list[Path], cases: range, n_large: int, folder: Path, log: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("error")  # an overflow or a mean of nothing is a finding as well
    sources = [load(path) for path in paths]
    structures, interfaces = [], []
    with log.open("w") as told:
        for case in cases:
            rng = np.random.default_rng([SEED, case])
            damage, source = kind_of(case, n_large), sources[int(rng.integers(len(sources)))]
            _tell(told, {"case": case, "kind": damage.__name__, "source": source.name})
            data, ending = damage(source, rng)
            path = folder / f"case_{case}{ending}"
            path.write_bytes(data)
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            start = time.process_time()
            try:
                structure, result = _read(path, f"{case:06d}")
                if structure is not None:
                    interfaces += _use(structure)
                    structures.append(structure)
            except Exception as error:  # told with all others at the end
                result = f"{type(error).__name__}: {error} in {traceback.extract_tb(error.__traceback__)[-1]}"
            cpu_s = time.process_time() - start
            faulthandler.cancel_dump_traceback_later()
            path.unlink()
            memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            _tell(told, vars(Outcome(case, damage.__name__, source.name, result, cpu_s, memory_mb)))
    store = folder / f"store_{cases.start}.h5"
    write_structures(structures, store)
    write_interfaces(interfaces, store.with_suffix(".interfaces.h5"))
    with StructureStore(store) as opened:
        for structure in structures:
            assert opened.read(structure.pdb_id).sequences == structure.sequences


def _tell(told: IO[str], values: dict[str, object]) -> None:
    told.write(json.dumps(values) + "\n")
    told.flush()


def _read(path: Path, pdb_id: str) -> tuple[Structure | None, str]:
    try:
        structure = read_structure(path, pdb_id)
    except Unreadable as error:
        told = str(error).removeprefix(f"{path}: ")
        assert told.isprintable(), "an error that does not print"
        assert 0 < len(told) <= DETAIL_LENGTH, "an error without words, or with the whole file in it"
        return None, error.reason
    _is_sound(structure)
    return structure, "read"


def _is_sound(structure: Structure) -> None:
    """What is read keeps the promises of `Structure`, whatever the file was."""
    n_residues, n_atoms = len(structure.arrays["chain"]), int(structure.atom_offsets[-1])
    for layout, size in ((RESIDUE_ARRAYS, n_residues), (ATOM_ARRAYS, n_atoms)):
        for name, (kind, shape) in layout.items():
            assert structure.arrays[name].dtype == np.dtype(kind)
            assert structure.arrays[name].shape == (size, *shape)
    assert np.all(np.diff(structure.atom_offsets) > 0)
    assert np.abs(structure.arrays["atom_xyz_angstrom"]).max() <= MAX_COORDINATE_ANGSTROM
    assert len(set(structure.chain_ids)) == len(structure.chain_ids)
    assert all(IDENTIFIER.fullmatch(name) for name in structure.chain_ids)
    for name in structure.arrays["residue_name"].tolist() + structure.arrays["insertion_code"].tolist():
        name.decode("ascii")
    for i, sequence in enumerate(structure.sequences):
        index = structure.arrays["polymer_index"][structure.chain_residues(i)]
        assert np.all(np.diff(index) > 0)
        assert "".join(sequence[k] for k in index) == structure.observed_sequence(i).replace("-", "")
    structure.method.encode()
    assert structure.resolution_angstrom is None or 0 < structure.resolution_angstrom < np.inf


def _use(structure: Structure) -> list:
    """What the pipeline does with a structure that it has read."""
    chain_contacts(structure, 5.0)
    chain_bindings(structure)
    sides = [[structure.chain_ids[i] for i in np.flatnonzero(structure.chain_is(m))] for m in (PROTEIN, RNA)]
    largest = 180  # chains of a virus capsid; no record has more
    return [cut_interface(structure, structure.pdb_id, *(s[:largest] for s in sides), 256)] if all(sides) else []
