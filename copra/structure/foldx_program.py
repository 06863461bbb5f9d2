"""The user's own FoldX: running one of its commands in a prepared folder, and reading what it wrote.

FoldX (Schymkowitz et al. 2005, Nucleic Acids Res. 33:W382; with RNA: Delgado et al. 2019, Bioinformatics 35:4168) is
licensed and not part of copra. It reads and writes files of the folder in which it runs: `RepairPDB` makes
`<name>_Repair.pdb` of `<name>.pdb`, `AnalyseComplex` makes `Interaction_<name>_AC.fxout`, a table behind some lines of
heading. Versions before 5 want `rotabase.txt` beside them.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from copra.config import FoldXProgram
from copra.errors import InputError
from copra.files import sha256_of_file

LOG = "foldx.log"  # what the program said, in the folder in which it ran
TOLD_LINES, TOLD_CHARACTERS = 5, 400  # of the end of the log, in a failure's text
ROTABASE = "rotabase.txt"
HEADING = ("Group1", "Group2", "Interaction Energy")


class FoldXFailed(Exception):
    """FoldX did not do what it was asked; the text says what happened and how its output ends."""


@dataclass(frozen=True)
class Program:
    """A FoldX program that is there: absolute paths, and the name under which results are kept."""

    binary: Path
    rotabase: Path | None
    timeout_s: float
    name: str  # file name and sha256 of the binary, and of rotabase.txt where there is one


def find_program(settings: FoldXProgram) -> Program | None:
    """The program of the configuration, None where it names none.

    Raises InputError when the named file is not there or may not be run, or a named rotabase.txt is not there.
    """
    if settings.binary is None:
        return None
    found = shutil.which(Path(settings.binary).expanduser())
    if found is None:
        raise InputError(f"foldx.binary: expected a program that may be run, found none at {settings.binary}")
    binary = Path(found).absolute()
    beside = binary.with_name(ROTABASE)
    rotabase = Path(settings.rotabase).expanduser().absolute() if settings.rotabase is not None else beside
    if not rotabase.is_file():
        if settings.rotabase is not None:
            raise InputError(f"foldx.rotabase: expected a file, found none at {rotabase}")
        return Program(binary, None, settings.timeout_s, f"{binary.name} {sha256_of_file(binary)}")
    name = f"{binary.name} {sha256_of_file(binary)}, {ROTABASE} {sha256_of_file(rotabase)}"
    return Program(binary, rotabase, settings.timeout_s, name)


def run_foldx(program: Program, folder: Path, command: str, options: dict[str, str], timeout_s: float) -> None:
    """Run one FoldX command in a folder that holds its input; what it says is added to the folder's `foldx.log`.

    `options` are written `--name=value`; no shell reads them. Raises FoldXFailed when the command takes longer than
    `timeout_s`, is not left with exit status 0, or cannot be started. It and all that it started are ended before.
    """
    if program.rotabase is not None and not (folder / ROTABASE).exists():
        (folder / ROTABASE).symlink_to(program.rotabase)
    arguments = [str(program.binary), f"--command={command}", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / LOG).open("ab") as log:
        try:
            # a session of its own: a program that is a script, or starts others, can be ended as a whole
            process = subprocess.Popen(
                arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            raise FoldXFailed(f"{command}: cannot be started: {error}") from error
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise FoldXFailed(f"{command}: not done after {timeout_s:.0f} s{_last_words(folder)}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status:
        raise FoldXFailed(f"{command}: exit status {status}{_last_words(folder)}")


def repair(program: Program, folder: Path, name: str, timeout_s: float) -> str:
    """Repair `<name>.pdb` of a folder; returns the name of the repaired one. Raises FoldXFailed."""
    run_foldx(program, folder, "RepairPDB", {"pdb": f"{name}.pdb"}, timeout_s)
    _expect(folder, f"{name}_Repair.pdb", "RepairPDB")
    return f"{name}_Repair"


def analyse_complex(program: Program, folder: Path, name: str, groups: tuple[str, str], timeout_s: float) -> float:
    """Interaction energy in kcal/mol of two groups of chains, as their letters, of `<name>.pdb`. Raises FoldXFailed."""
    options = {"pdb": f"{name}.pdb", "analyseComplexChains": ",".join(groups)}
    run_foldx(program, folder, "AnalyseComplex", options, timeout_s)
    found = _expect(folder, f"Interaction_{name}_AC.fxout", "AnalyseComplex")
    return interaction_energy_kcal_mol(found.read_text(encoding="utf-8", errors="replace"), *groups)


def repair_and_analyse(program: Program, folder: Path, name: str, groups: tuple[str, str]) -> float:
    """Both, within the program's time for one complex; the interaction energy in kcal/mol. Raises FoldXFailed."""
    started = time.monotonic()
    repaired = repair(program, folder, name, program.timeout_s)
    left_s = max(0.0, program.timeout_s - (time.monotonic() - started))
    return analyse_complex(program, folder, repaired, groups, left_s)


def interaction_energy_kcal_mol(text: str, protein_letters: str, rna_letters: str) -> float:
    """The interaction energy of two groups of chains from the text of an `Interaction_*_AC.fxout`, in kcal/mol.

    FoldX writes a row for the two groups, or one for each two chains; rows within a molecule are passed over and those
    between the molecules are added up. Raises FoldXFailed when the heading is not as it was, a row is cut short or
    names other chains, two rows speak of the same chains, none is between the molecules, or a value is no number.
    """
    lines = [line.rstrip("\r").split("\t") for line in text.split("\n")]
    heads = [i for i, cells in enumerate(lines) if set(HEADING) <= {cell.strip() for cell in cells}]
    if len(heads) != 1:
        raise FoldXFailed(f"AnalyseComplex: expected one heading with {HEADING}, found {len(heads)}")
    heading = [cell.strip() for cell in lines[heads[0]]]
    first, second, energy = (heading.index(name) for name in HEADING)
    sides, total = (set(protein_letters), set(rna_letters)), 0.0
    seen: set[tuple[str, str]] = set()
    for cells in lines[heads[0] + 1 :]:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= max(first, second, energy):
            raise FoldXFailed(f"AnalyseComplex: expected {len(heading)} columns, found {cells}")
        groups = set(cells[first].strip()), set(cells[second].strip())
        if not all(groups) or not groups[0] | groups[1] <= sides[0] | sides[1]:
            raise FoldXFailed(f"AnalyseComplex: expected chains {protein_letters}, {rna_letters}, found {cells[:3]}")
        if groups[0] <= sides[1] and groups[1] <= sides[0]:
            groups = groups[1], groups[0]
        if not (groups[0] <= sides[0] and groups[1] <= sides[1]):
            if any(groups[0] | groups[1] <= side for side in sides):
                continue
            raise FoldXFailed(f"AnalyseComplex: a group holds chains of both molecules: {cells[:3]}")
        chains = {(a, b) for a in groups[0] for b in groups[1]}
        if chains & seen:
            raise FoldXFailed(f"AnalyseComplex: two rows speak of the chains {sorted(chains & seen)}")
        seen |= chains
        total += _number(cells[energy])
    if not seen:
        raise FoldXFailed(f"AnalyseComplex: expected rows of chains {protein_letters}, {rna_letters}, found none")
    return total


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FoldXFailed(f"AnalyseComplex: expected an energy, found {text.strip()!r}")
    return value


def _expect(folder: Path, name: str, command: str) -> Path:
    """A file that the command must have written."""
    path = folder / name
    if not path.is_file() or not path.stat().st_size:
        raise FoldXFailed(f"{command}: expected the file {name}, found none{_last_words(folder)}")
    return path


def _last_words(folder: Path) -> str:
    """How the program's output ends, as part of a sentence."""
    path = folder / LOG
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 4096))
        lines = log.read().decode(errors="replace").splitlines()
    lines = [" ".join(line.split()) for line in lines if line.strip()]
    text = "".join(c for c in " | ".join(lines[-TOLD_LINES:]) if c.isprintable())
    return f"; its output ends: {text[-TOLD_CHARACTERS:]}" if text else "; it said nothing"
