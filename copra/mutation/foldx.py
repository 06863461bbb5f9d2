"""The verb that scores mutations with the user's own FoldX; without one every mutation is skipped, visibly.

A complex is repaired once (RepairPDB), then BuildModel puts one mutation after another into the repaired complex and
writes beside each mutant a wild type whose neighbouring side chains were moved in the same way; AnalyseComplex gives
the interaction energy of protein and RNA in both. Their difference is the ddG. What FoldX said is kept as
copra/structure/foldx.py keeps it, so that a second run starts it only for what is missing or failed.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import FoldXProgram
from copra.errors import InputError
from copra.mutation.exchange import Change, read_changes
from copra.progress import progress
from copra.structure.foldx import INPUT, NO_PROGRAM, run_once
from copra.structure.foldx_program import FoldXFailed, Program, analyse_complex, find_program, repair, run_foldx
from copra.structure.pdb_text import PdbText, pdb_text
from copra.structure.residues import Structure
from copra.structure.store import StructureStore
from copra.tables import TABLES, read_table, write_table

log = logging.getLogger(__name__)

MUTANT_FILE = "individual_list.txt"  # FoldX wants the name to begin so
MUTANT, WILD_TYPE = f"{INPUT}_1", f"WT_{INPUT}_1"  # as BuildModel names the models of the first line


@dataclass(frozen=True)
class _Repaired:
    """A complex that FoldX has repaired, and the letters of its chains there."""

    structure: Structure
    text: PdbText  # as it was given to FoldX
    repaired: str
    letters: dict[str, str]  # author id -> letter


def score_foldx_mutations(records: Path, *, store: Path, settings: FoldXProgram, folder: Path, out: Path) -> None:
    """Score the mutations whose entry is in this store with FoldX's BuildModel (table `mutation_foldx`).

    `records` is the table `mutation_records`. status is `scored`, `skipped` (no program is set) or `failed` with the
    reason in `detail`; a failure stops nothing. A mutation of RNA fails: FoldX's list of mutants is used for amino
    acids only. Raises InputError when the program that is set is not there.
    """
    program = find_program(settings)
    table = read_table(records, "mutation_records").sort_values("mutation_id")
    rows: list[dict[str, Any]] = []
    with StructureStore(store) as structures:
        here = table[table["pdb_id"].isin(structures.pdb_ids)]
        if program is None:
            rows = [_row(str(name), "skipped", NO_PROGRAM) for name in here["mutation_id"]]
        else:
            for (pdb_id, complex_id), part in progress(
                here.groupby(["pdb_id", "complex_id"]), "FoldX", here["complex_id"].nunique()
            ):
                rows += _score_complex(program, structures.read(str(pdb_id)), str(complex_id), part, folder)
    write_table(pd.DataFrame(rows, columns=TABLES["mutation_foldx"].schema().names), out, "mutation_foldx")
    counts = sorted(Counter(row["status"] for row in rows).items())
    log.info("FoldX: %s", ", ".join(f"{status} {count}" for status, count in counts) or "no mutations in this store")


def _score_complex(
    program: Program, structure: Structure, complex_id: str, rows: pd.DataFrame, folder: Path
) -> list[dict[str, Any]]:
    """The rows of the table `mutation_foldx` for the mutations of one complex."""
    names = [str(name) for name in rows["mutation_id"]]
    try:
        repaired = _repaired(program, structure, complex_id, folder)
    except (InputError, FoldXFailed) as error:
        log.warning("%s: FoldX failed: %s", complex_id, error)
        return [_row(name, "failed", str(error), program.name) for name in names]
    found = []
    for name, row in zip(names, rows.itertuples(), strict=True):
        try:
            changes = read_changes(str(row.mutation), str(row.polymer_indices))
            line = mutant_line(structure, changes, str(row.mutated_chains).split(","), repaired.letters)
            energies = _build(program, repaired, name, line, folder)
        except (InputError, FoldXFailed) as error:
            log.warning("%s: FoldX failed: %s", name, error)
            detail = "; ".join(filter(None, (str(error), repaired.text.notes)))
            found.append(_row(name, "failed", detail, program.name))
            continue
        found.append(_row(name, "scored", repaired.text.notes, program.name, energies))
    return found


def _repaired(program: Program, structure: Structure, complex_id: str, folder: Path) -> _Repaired:
    """Write a complex as FoldX reads it and have it repaired; raises InputError and FoldXFailed."""
    protein_chains, rna_chains = (side.split(",") for side in complex_id.split(":")[1:])
    text = pdb_text(structure, complex_id, protein_chains, rna_chains)

    def run(prepared: Path) -> dict[str, Any]:
        name = repair(program, prepared, INPUT, program.timeout_s)
        return {"repaired": (prepared / f"{name}.pdb").read_text(encoding="utf-8")}

    found = run_once(program, folder, complex_id, "RepairPDB", text.text, run).get("repaired")
    if not isinstance(found, str):
        raise FoldXFailed(f"expected the text of a repaired complex, found {found!r:.80}")
    letters = dict(zip([*protein_chains, *rna_chains], text.protein_letters + text.rna_letters, strict=True))
    return _Repaired(structure, text, found, letters)


def mutant_line(
    structure: Structure, changes: Sequence[Change], mutated_chains: Sequence[str], letters: dict[str, str]
) -> str:
    """The line of FoldX's list of mutants, as `KA12A,KB12A;`: every exchange in every mutated chain.

    `letters` are the chains' in the PDB text, whose residue numbers are places from 1. A copy in which the residue has
    no coordinates stays as it is. Raises InputError for a chain that is no protein of the complex, and where no copy
    has the residue.
    """
    words = []
    for change in changes:
        here = []
        for name in mutated_chains:
            index = structure.chain_ids.index(name) if name in structure.chain_ids else -1
            if index < 0 or name not in letters or structure.molecule_types[index] != "protein":
                raise InputError(f"expected protein chains of the complex to mutate, found {name}")
            observed = structure.observed_sequence(index)
            if observed[change.polymer_index : change.polymer_index + 1] == change.wildtype:
                here.append(f"{change.wildtype}{letters[name]}{change.polymer_index + 1}{change.mutant}")
        if not here:
            names = ",".join(mutated_chains)
            raise InputError(f"residue {change.polymer_index} of chains {names} has no coordinates")
        words += here
    return f"{','.join(words)};"


def _build(program: Program, repaired: _Repaired, mutation_id: str, line: str, folder: Path) -> tuple[float, float]:
    """Interaction energies (kcal/mol) of the wild type's and the mutant's model; raises FoldXFailed."""
    groups = repaired.text.protein_letters, repaired.text.rna_letters

    def run(prepared: Path) -> dict[str, Any]:
        started = time.monotonic()

        def left_s() -> float:
            return max(0.0, program.timeout_s - (time.monotonic() - started))

        (prepared / MUTANT_FILE).write_text(f"{line}\n", encoding="utf-8")
        run_foldx(program, prepared, "BuildModel", {"pdb": f"{INPUT}.pdb", "mutant-file": MUTANT_FILE}, left_s())
        for name in (WILD_TYPE, MUTANT):
            if not (prepared / f"{name}.pdb").is_file():
                raise FoldXFailed(f"BuildModel: expected the file {name}.pdb, found none")
        energies = {name: analyse_complex(program, prepared, name, groups, left_s()) for name in (WILD_TYPE, MUTANT)}
        return {"wildtype_energy_kcal_mol": energies[WILD_TYPE], "mutant_energy_kcal_mol": energies[MUTANT]}

    task = f"BuildModel {line} interaction {','.join(groups)}"
    found = run_once(program, folder, mutation_id, task, repaired.repaired, run)
    wildtype, mutant = (found.get(f"{which}_energy_kcal_mol") for which in ("wildtype", "mutant"))
    if not (isinstance(wildtype, float) and isinstance(mutant, float) and math.isfinite(wildtype + mutant)):
        raise FoldXFailed(f"expected two energies, found {wildtype!r} and {mutant!r}")
    return wildtype, mutant


def _row(
    mutation_id: str, status: str, detail: str, program: str = "", energies: tuple[float, float] | None = None
) -> dict[str, Any]:
    wildtype, mutant = energies or (None, None)
    return {
        "mutation_id": mutation_id,
        "status": status,
        "wildtype_energy_kcal_mol": wildtype,
        "mutant_energy_kcal_mol": mutant,
        "ddg_kcal_mol": None if wildtype is None or mutant is None else mutant - wildtype,
        "program": program,
        "detail": detail,
    }
