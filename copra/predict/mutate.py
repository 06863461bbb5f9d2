"""`copra mutate`: ddG of named variants, of one or several exchanges in protein and RNA, as lines and a table."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from copra.errors import InputError, shown
from copra.files import replacing
from copra.predict.cautions import counted
from copra.predict.engine import Case, Engine
from copra.predict.options import chain_names, named_files
from copra.predict.outputs import BETWEEN_WARNINGS, FAILED, OK
from copra.predict.package import Package, read_package
from copra.predict.substitutions import Effects, mutant_effects
from copra.predict.variants import (
    BETWEEN,
    BadVariant,
    Variant,
    read_variant,
    read_variants,
    unseen_exchanges,
    warnings_of,
)

FAILED_STATUS = 2
DECIMALS = 6
COLUMNS = (
    "file", "complex_id", "variant", "molecules", "n_exchanges", "mutated_chains", "ddg_kcal_mol", "ddg_sd_kcal_mol",
    "wild_type_dg_kcal_mol", "n_members", "unseen_exchanges", "experimental", "model", "weights", "warnings",
    "status", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One variant: its numbers, or in one line why there are none."""

    text: str
    variant: Variant | None
    reason: str
    ddg_kcal_mol: npt.NDArray[np.float64]  # [members], empty where there is no variant
    unseen: tuple[str, ...]  # exchanges that the model does not see
    warnings: tuple[str, ...]

    @property
    def mean_kcal_mol(self) -> float:
        """The mean over the members; no minus before a rounded zero."""
        return float(self.ddg_kcal_mol.mean().round(DECIMALS)) + 0.0

    @property
    def sd_kcal_mol(self) -> float:
        """The standard deviation over the members, NaN for a single one."""
        return float(self.ddg_kcal_mol.std(ddof=1)) if len(self.ddg_kcal_mol) > 1 else math.nan


def mutate(
    file: Path,
    *,
    model: Path,
    mutations: list[str] = [],  # noqa: B006 (the command line reads the default; nothing changes it)
    mutations_file: Path | None = None,
    protein: str = "",
    rna: str = "",
    coordinates_model: int | None = None,
    all_copies: bool = False,
    weights: list[str] = [],  # noqa: B006
    out: Path | None = None,
) -> int:
    """Predict ddG of variants of the complex in a file; a bad variant never stops the rest.

    file        mmCIF or PDB, deposited, predicted or docked, gzipped or not
    --model     folder of a model package; `copra models` lists them
    --mutations variants: A:K52A, or several exchanges joined by +: A:D210A+A:E188A, A:K52A+R:G5C. An exchange is author
                chain, wild type letter, author number with insertion code, mutant letter
    --mutations-file  table with tabs whose column `variant` holds more of them
    --protein, --rna  the chains of the complex, joined by commas; without them as `copra predict` chooses
    --coordinates-model  which model of a file with several (NMR), counted from 1
    --all-copies  change every chain of the complex that has the named chain's sequence, not the named one alone
    --weights   NAME=FILE of the language models that the package reads
    --out       CSV, one row per variant

    ddG = dG(mutant) - dG(wild type) in kcal/mol, positive binds more weakly: the mean over the members of the package
    and their standard deviation, on the wild type's backbone. Variants of several exchanges and of RNA are
    experimental: no labelled case was there to test them on.

    Returns 2 where a variant failed, 0 otherwise. Raises InputError for a file that is no complex, no variants at
    all, a table without them, and weights that are not the package's.
    """
    texts = [*mutations, *(read_variants(mutations_file) if mutations_file else [])]
    if not texts:
        raise InputError("expected variants such as --mutations A:K52A, or --mutations-file, found none")
    package = read_package(model)
    engine = Engine(package, named_files(weights), None)
    case = engine.case(file, chain_names(protein), chain_names(rna), coordinates_model)
    outcomes, wild_type_dg = find_outcomes(engine, case, texts, all_copies=all_copies)
    if out:
        write_csv(outcomes, wild_type_dg, case, package, out)
    _tell(outcomes, wild_type_dg, case, file)
    return FAILED_STATUS if any(o.variant is None for o in outcomes) else 0


def find_outcomes(
    engine: Engine, case: Case, texts: Sequence[str], *, all_copies: bool
) -> tuple[list[Outcome], npt.NDArray[np.float64]]:
    """What becomes of each variant, in the order given, and the wild type's dG by each member in kcal/mol.

    Where no variant can be computed nothing is, and the second is empty. Raises as the engine does.
    """
    read: list[Variant | BadVariant] = []
    for text in texts:
        try:
            read.append(read_variant(text, case, all_copies=all_copies))
        except BadVariant as refused:
            read.append(refused)
    good = [one for one in read if isinstance(one, Variant)]
    none = np.zeros(0)
    found = mutant_effects(engine, case, [v.mutant for v in good]) if good else Effects(none, none, none.astype(bool))
    outcomes = []
    column = 0
    for text, one in zip(texts, read, strict=True):
        if isinstance(one, Variant):
            outcomes.append(_outcome(text, one, found, column, case, engine.package))
            column += 1
        else:
            outcomes.append(Outcome(text, None, str(one), none, (), ()))
    return outcomes, found.wild_type_dg_kcal_mol


def _outcome(text: str, variant: Variant, found: Effects, column: int, case: Case, package: Package) -> Outcome:
    nothing_seen = bool(found.unseen[column])
    names = [e.name for e in variant.exchanges] if nothing_seen else unseen_exchanges(variant, case, package)
    told = warnings_of(variant, names, nothing_seen=nothing_seen)
    return Outcome(text, variant, "", found.ddg_kcal_mol[:, column], tuple(names), tuple(told))


def write_csv(
    outcomes: Sequence[Outcome], wild_type_dg: npt.NDArray[np.float64], case: Case, package: Package, out: Path
) -> None:
    """One row per variant, in the order given, of COLUMNS; empty cells where there is no value.

    Energies in kcal/mol; molecules, chains and exchanges are joined by +, warnings by ` | `, the variant's own first;
    experimental is true or false.
    """
    same = {"file": case.chosen.file, "complex_id": case.chosen.complex_id}
    same |= {"model": package.name, "weights": package.weights_text}
    of_case = (*case.warnings, *case.chosen.warnings)
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(same | _row(outcome, wild_type_dg, of_case) for outcome in outcomes)


def _row(outcome: Outcome, wild_type_dg: npt.NDArray[np.float64], of_case: tuple[str, ...]) -> dict[str, Any]:
    variant = outcome.variant
    if variant is None:
        return {"variant": shown(outcome.text), "status": FAILED, "reason": shown(outcome.reason)}
    numbers = {
        "ddg_kcal_mol": outcome.mean_kcal_mol,
        "ddg_sd_kcal_mol": outcome.sd_kcal_mol,
        "wild_type_dg_kcal_mol": float(wild_type_dg.mean()),
    }
    return {
        "variant": outcome.text, "molecules": BETWEEN.join(variant.molecules), "n_exchanges": len(variant.exchanges),
        "mutated_chains": BETWEEN.join(change.chain for change in variant.mutant), "n_members": len(wild_type_dg),
        "unseen_exchanges": BETWEEN.join(outcome.unseen), "experimental": "true" if variant.untested else "false",
        "warnings": BETWEEN_WARNINGS.join((*outcome.warnings, *of_case)), "status": OK, "reason": "",
    } | {name: f"{value:.{DECIMALS}f}" if math.isfinite(value) else "" for name, value in numbers.items()}  # fmt: skip


def _tell(outcomes: Sequence[Outcome], wild_type_dg: npt.NDArray[np.float64], case: Case, file: Path) -> None:
    """The wild type, then a line per variant with its warnings on standard output, failures on standard error."""
    n_failed = sum(outcome.variant is None for outcome in outcomes)
    if n_failed < len(outcomes):
        print(  # noqa: T201 (this verb is for reading)
            f"{case.chosen.complex_id}: wild type dG {wild_type_dg.mean():.2f} kcal/mol; ddG = dG(mutant) - dG(wild "
            f"type), mean and SD of {counted(len(wild_type_dg), 'model')}, positive binds more weakly"
        )
        for text in (*case.warnings, *case.chosen.warnings):
            print(f"  ! {text}")  # noqa: T201
    for outcome in outcomes:
        if outcome.variant is None:
            told = shown(f"{file}: {outcome.text}: {outcome.reason}")
            print(f"copra mutate: {told}", file=sys.stderr)  # noqa: T201
            continue
        mark = " (experimental)" if outcome.variant.untested else ""
        print(f"{outcome.text}  ddG {_energy(outcome)} kcal/mol{mark}")  # noqa: T201
        for text in outcome.warnings:
            print(f"  ! {text}")  # noqa: T201
    if n_failed and len(outcomes) > 1:
        print(f"copra mutate: {n_failed} of {len(outcomes)} variants failed", file=sys.stderr)  # noqa: T201


def _energy(outcome: Outcome) -> str:
    """`+0.53 (SD 0.20)`; a single member has no SD."""
    sd = outcome.sd_kcal_mol
    mean = round(outcome.mean_kcal_mol, 2) + 0.0  # no minus before a rounded zero
    return f"{mean:+.2f}{f' (SD {sd:.2f})' if math.isfinite(sd) else ''}"
