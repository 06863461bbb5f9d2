"""The verb that scores complexes with the user's own FoldX; without one every record is skipped, visibly.

What is kept: below the folder of the shard a folder for each record (named by a hash: chain ids may hold any character)
and in it one for each input and program, `<key>/` with the PDB file, FoldX's files, its output and `result.json`. It is
renamed into place when all of it is there, so a run that was killed leaves nothing that could be taken for a result,
and a second run starts FoldX only for what is missing or failed.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import FoldXProgram
from copra.errors import InputError
from copra.files import replacing, sha256_of_text
from copra.progress import progress
from copra.structure.foldx_program import FoldXFailed, Program, find_program, repair_and_analyse
from copra.structure.pdb_text import PdbText, pdb_text
from copra.structure.store import StructureStore
from copra.tables import TABLES, read_table, write_table

log = logging.getLogger(__name__)

NO_PROGRAM = "no FoldX program: set foldx.binary in the configuration"
INPUT = "complex"  # the name of the PDB file; FoldX puts names of its own together with it
RESULT = "result.json"
ATTEMPT = "attempt-"  # a folder of this beginning was never finished
FAILED = "failed"  # the folder of the last attempt that failed, to look at
KEY_LETTERS = 24  # of a sha256


def score_foldx(records: Path, *, store: Path, settings: FoldXProgram, folder: Path, out: Path) -> None:
    """Score the records whose entry is in this store with FoldX (table `foldx`): RepairPDB, then AnalyseComplex.

    status is `scored`, `skipped` (no program is set) or `failed` with the reason in `detail`; a failure stops nothing.
    Energies are in kcal/mol, lower is tighter. What was scored in `folder` from the same chains by the same program is
    not run again. Raises InputError when the program that is set is not there.
    """
    program = find_program(settings)
    table = read_table(records, "records").sort_values("record_id")
    rows = []
    with StructureStore(store) as structures:
        here = table[table["pdb_id"].isin(structures.pdb_ids)]
        for row in progress(here.itertuples(), "FoldX", len(here)):
            if program is None:
                rows.append(_row(str(row.record_id), "skipped", NO_PROGRAM))
                continue
            sides = str(row.protein_chains).split(","), str(row.rna_chains).split(",")
            try:
                text = pdb_text(structures.read(str(row.pdb_id)), str(row.record_id), *sides)
            except InputError as error:
                rows.append(_row(str(row.record_id), "failed", str(error), program.name))
                continue
            rows.append(score_complex(program, str(row.record_id), text, folder))
    write_table(pd.DataFrame(rows, columns=TABLES["foldx"].schema().names), out, "foldx")
    counts = sorted(Counter(row["status"] for row in rows).items())
    log.info("FoldX: %s", ", ".join(f"{status} {count}" for status, count in counts) or "no records in this store")


def score_complex(program: Program, record_id: str, text: PdbText, folder: Path) -> dict[str, Any]:
    """The row of the table `foldx` for one complex."""
    groups = text.protein_letters, text.rna_letters

    def run(prepared: Path) -> dict[str, Any]:
        return {"interaction_energy_kcal_mol": repair_and_analyse(program, prepared, INPUT, groups)}

    try:
        found = run_once(program, folder, record_id, f"interaction {','.join(groups)}", text.text, run)
        energy = found.get("interaction_energy_kcal_mol")
        if not isinstance(energy, float) or not math.isfinite(energy):
            raise FoldXFailed(f"expected an energy in {RESULT}, found {energy!r}")
    except FoldXFailed as error:
        log.warning("%s: FoldX failed: %s", record_id, error)
        return _row(record_id, "failed", "; ".join(filter(None, (str(error), text.notes))), program.name)
    return _row(record_id, "scored", text.notes, program.name, energy)


def run_once(
    program: Program, folder: Path, subject: str, task: str, text: str, run: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """What `run` finds in a prepared folder that holds `text` as complex.pdb, or what it found there before.

    `subject` (a record), `task` (what is run, with its options), the text and the program together are the key of what
    is kept below `folder`; nothing of them is taken as a path. `run` gets the private folder, in which `run_foldx` and
    its kin may be called any number of times, and answers with values that JSON holds. Raises FoldXFailed as `run`
    does; the folder of that attempt is kept as `failed` and the next call tries again.
    """
    home = folder / sha256_of_text(subject)[:KEY_LETTERS]
    told = {"subject": subject, "task": task, "input_sha256": sha256_of_text(text), "program": program.name}
    kept = home / sha256_of_text(json.dumps(told, sort_keys=True))[:KEY_LETTERS]
    before = _read_result(kept / RESULT, told)
    if before is not None:
        return before
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f"{ATTEMPT}*"):
        shutil.rmtree(left)
    attempt = Path(tempfile.mkdtemp(prefix=ATTEMPT, dir=home)).absolute()
    (attempt / f"{INPUT}.pdb").write_text(text, encoding="utf-8")
    try:
        found = run(attempt)
    except FoldXFailed:
        _put(attempt, home / FAILED)
        raise
    except BaseException:  # an interrupt, or a fault of ours: there is nothing to look at
        shutil.rmtree(attempt)
        raise
    with replacing(attempt / RESULT) as temporary:
        temporary.write_text(json.dumps({**told, "found": found}, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    _put(attempt, kept)
    return found


def _read_result(path: Path, told: dict[str, str]) -> dict[str, Any] | None:
    """What was found before; None where there is no such file, or one that is not whole or speaks of something else."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(read, dict) or any(read.get(name) != value for name, value in told.items()):
        return None
    found = read.get("found")
    return found if isinstance(found, dict) else None


def _put(attempt: Path, place: Path) -> None:
    """Rename a folder; what stands in its place is no result and goes."""
    if place.exists():
        shutil.rmtree(place)
    attempt.rename(place)


def _row(record_id: str, status: str, detail: str, program: str = "", energy: float | None = None) -> dict[str, Any]:
    return {
        "record_id": record_id,
        "status": status,
        "interaction_energy_kcal_mol": energy,
        "repaired": status == "scored",
        "program": program,
        "detail": detail,
    }
