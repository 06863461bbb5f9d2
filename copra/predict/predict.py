"""`copra predict`: structure files -> dG, Kd and an interval, as lines, a table, JSON and pages."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from copra.errors import CopraError, InputError, shown
from copra.predict.engine import Case, Engine
from copra.predict.inputs import structure_name
from copra.predict.options import chain_names, named_files
from copra.predict.outputs import ASSUMPTION, Outcome, summary, write_csv, write_json
from copra.predict.package import read_package
from copra.predict.page import notices
from copra.predict.prediction import Options, Predictor
from copra.predict.result import Prediction
from copra.progress import progress
from copra.units import STANDARD_TEMPERATURE_K

MOST_KEPT_RESIDUES = 100_000  # whose embeddings stay in memory for the next file
FAILED_STATUS = 2


@dataclass(frozen=True)
class Chosen:
    """What is taken of every file; None: found by contact, the first model."""

    protein: list[str] | None
    rna: list[str] | None
    model: int | None


def predict(
    files: list[Path],
    *,
    model: Path,
    protein: str = "",
    rna: str = "",
    coordinates_model: int | None = None,
    temperature_k: float = STANDARD_TEMPERATURE_K,
    coverage: float = 0.9,
    weights: list[str] = [],  # noqa: B006 (the command line reads the default; nothing changes it)
    out: Path | None = None,
    json: Path | None = None,
    pages: Path | None = None,
    contributions: str = "",
) -> int:
    """Predict dG and Kd of the protein-RNA complex in each file; a bad file never stops the rest.

    files       mmCIF or PDB, deposited, predicted or docked, gzipped or not
    --model     folder of a model package; `copra models` lists them
    --protein, --rna  the chains of the complex, joined by commas (author ids); without them the chains that touch
    --coordinates-model  which model of a file with several (NMR), counted from 1; such a file is refused without it
    --temperature-k  of Kd, in kelvin. dG is what the model was trained on, labels at the temperatures of their own
                measurements; Kd = exp(dG / RT) takes dG as the same at this temperature
    --coverage  how often the interval shall hold the measured dG (conformal, from records no model had seen)
    --weights   NAME=FILE of each language model that the package reads; other weights are refused
    --out       CSV, one row per file: kcal/mol, mol/l, fractions; --json FILE all of it with residues and contacts
    --pages     folder for one HTML page per file
    --contributions  of the residues: hiding (exact, one pass per residue), gradient (one pass; Co-Former) or none;
                without it hiding where pages are asked for

    Returns 2 where a file failed, 0 otherwise. Raises InputError for options that cannot be meant, a folder that is
    no model package, and weights that are not the package's.
    """
    if not files:
        raise InputError("expected one structure file or more, found none")
    options = Options(temperature_k, coverage, contributions or ("hiding" if pages else "none"))
    engine = Engine(read_package(model), named_files(weights), None)
    predictor = Predictor(engine, options)
    chosen = Chosen(chain_names(protein), chain_names(rna), coordinates_model)
    outcomes = []
    names = page_names(files)
    for i in progress(range(len(files)), "predictions", len(files)):
        page = pages / names[i] if pages else None
        outcomes.append(_outcome(predictor, files[i], chosen, page))
        _tell(outcomes[-1])
    if out:
        write_csv(outcomes, out)
    if json:
        write_json(outcomes, predictor.facts, json)
    n_failed = sum(outcome.prediction is None for outcome in outcomes)
    if n_failed and len(outcomes) > 1:
        print(f"copra predict: {n_failed} of {len(outcomes)} files failed", file=sys.stderr)  # noqa: T201
    if n_failed < len(outcomes):
        print(ASSUMPTION)  # noqa: T201 (this verb is for reading)
    return FAILED_STATUS if n_failed else 0


def page_names(files: list[Path]) -> list[str]:
    """The name of each file's page, none twice: `1urn.html`, and `1urn_2.html` for a second 1urn."""
    made: list[str] = []
    seen: Counter[str] = Counter()
    for path in files:
        name = structure_name(path)
        seen[name] += 1
        while (file := f"{name}{f'_{seen[name]}' if seen[name] > 1 else ''}.html") in made:
            seen[name] += 1
        made.append(file)
    return made


def _outcome(predictor: Predictor, file: Path, chosen: Chosen, page: Path | None) -> Outcome:
    """The prediction of one file with its page, or why there is none."""
    engine = predictor.engine
    if engine.n_kept_residues > MOST_KEPT_RESIDUES:
        engine.forget()
    try:
        case = engine.case(file, chosen.protein, chosen.rna, chosen.model)
        prediction = predictor.predict(case)
        if page is not None:
            _write_page(case, prediction, page)
    except CopraError as error:
        return Outcome(file, None, shown(" ".join(str(error).split())))
    return Outcome(file, prediction, "")


def _write_page(case: Case, prediction: Prediction, page: Path) -> None:
    from copra.predict.page import write_page
    from copra.predict.shown_structure import shown_structure

    chains = (*prediction.chosen.protein_chains, *prediction.chosen.rna_chains)
    write_page(prediction, shown_structure(case.structure, chains), page)


def _tell(outcome: Outcome) -> None:
    """A line of the prediction with its warnings on standard output, of a failure on standard error."""
    if outcome.prediction is None:
        print(f"copra predict: {outcome.reason}", file=sys.stderr)  # noqa: T201
        return
    print(summary(outcome.prediction))  # noqa: T201 (this verb is for reading)
    for text in notices(outcome.prediction):
        print(f"  ! {text}")  # noqa: T201
