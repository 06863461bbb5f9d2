"""A mutation scan: every substitution at the chosen residues of one chain, as a table, a page and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError, shown
from copra.files import replacing
from copra.predict.cautions import contact_residues, counted
from copra.predict.engine import Case, Engine
from copra.predict.options import chain_names, model_facts, named_files
from copra.predict.package import Package, read_package
from copra.predict.positions import choose_positions
from copra.predict.scan_page import ScanAbout, write_scan_page
from copra.predict.substitutions import Effects, Substitution, Target, effects, interface_places, substitutions
from copra.structure.mutants import same_sequence_chains

TABLE, PAGE, PICTURE = "scan.csv", "scan.html", "scan.png"
DECIMALS = 6
SHOWN_NAMES = 12
EXPERIMENTAL_RNA = "Substitutions of nucleotides are experimental."


def scan(
    file: Path,
    *,
    model: Path,
    chain: str,
    positions: str,
    out: Path,
    protein: str = "",
    rna: str = "",
    coordinates_model: int | None = None,
    weights: list[str] = [],  # noqa: B006 (the command line reads the default; nothing changes it)
    rna_scan: bool = False,
    all_copies: bool = False,
) -> None:
    """Scan one chain for mutations: write scan.csv, scan.html and scan.png into the folder --out.

    file        mmCIF or PDB, deposited, predicted or docked, gzipped or not
    --model     folder of a model package; `copra models` lists them
    --chain     author id of the chain to mutate
    --positions interface (residues that the model sees), contacts (residues that touch the partner), all, or author
                numbers and ranges with insertion codes: 12,15-20,52A; negative ones as --positions=-3,-1-4
    --protein, --rna  the chains of the complex, joined by commas; without them as `copra predict` chooses
    --weights   NAME=FILE of the language models that the package reads
    --rna-scan  allow an RNA chain (experimental)
    --all-copies  mutate every chain of the complex that has the chain's sequence, not the named one alone

    ddG = dG(mutant) - dG(wild type) in kcal/mol, positive binds more weakly: the mean over the members of the
    package, on the wild type's backbone. Raises InputError for a file that is no complex, a chain that is not of it,
    a position that is not there, and weights that are not the package's.
    """
    package = read_package(model)
    engine = Engine(package, named_files(weights), None)
    case, told = find_case(engine, file, chain, chain_names(protein), chain_names(rna), coordinates_model)
    target = find_target(case, file, chain, rna_scan=rna_scan, all_copies=all_copies)
    named = named_places(case, package, target)
    chosen, left_out = choose_positions(positions, case.structure, target.index, named, file)
    exchanges = substitutions(case, target, chosen)
    found = effects(engine, case, target, exchanges)
    table = scan_table(case, package, target, exchanges, found)
    warnings = [*told, *cautions_of(target, exchanges, found), *left_out, *case.warnings, *case.chosen.warnings]
    about = ScanAbout(
        complex_id=case.chosen.complex_id,
        file=shown(file.name),
        file_sha256=case.chosen.file_sha256,
        dg_kcal_mol=float(found.wild_type_dg_kcal_mol.mean()),
        temperature_k=package.data.temperature_k,
        method=method_of(package, target, found),
        warnings=tuple(warnings),
        model=model_facts(package),
    )
    write_scan(table, about, out)
    n = counted(len(exchanges), "substitution")
    print(f"{case.chosen.complex_id}: {n} of {counted(len(chosen), 'residue')} in {out / TABLE}, {out / PAGE}")  # noqa: T201
    for text in warnings:
        print(f"  ! {text}")  # noqa: T201 (this verb is for reading)


def write_scan(table: pd.DataFrame, about: ScanAbout, out: Path) -> None:
    """Write the three files of a scan; the same table gives the same bytes."""
    from copra.predict.scan_picture import write_scan_picture  # matplotlib takes a second to load

    with replacing(out / TABLE) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format=f"%.{DECIMALS}f")
    write_scan_page(table, about, out / PAGE)
    write_scan_picture(table, about, out / PICTURE)


def scan_table(
    case: Case, package: Package, target: Target, exchanges: list[Substitution], found: Effects
) -> pd.DataFrame:
    """One row per substitution, in the order of the sequence: `scan_page.SCAN_COLUMNS` and three more.

    ddg_sd_kcal_mol is the standard deviation over the members, missing for a single one; in_interface, whether the
    residue is a node of the model's interface in a chain that carries the exchange; mutated_chains joins those by +.
    """
    places = interface_places(case.interface, package, target.mutated)
    ddg = found.ddg_kcal_mol
    spread = ddg.std(axis=0, ddof=1) if len(ddg) > 1 else np.full(len(exchanges), np.nan)
    rows = [
        (target.chain, e.position.number, e.position.insertion_code, target.molecule, e.position.wild_type, e.letter)
        for e in exchanges
    ]
    table = pd.DataFrame(rows, columns=["chain", "number", "insertion_code", "molecule", "wild_type", "mutant"])
    table["ddg_kcal_mol"] = ddg.mean(axis=0).round(DECIMALS) + 0.0  # no minus before a rounded zero
    table["ddg_sd_kcal_mol"] = spread
    table["in_interface"] = [e.position.polymer_index in places for e in exchanges]
    table["mutated_chains"] = "+".join(target.mutated)
    return table


def find_case(
    engine: Engine, path: Path, chain: str, protein: list[str] | None, rna: list[str] | None, model: int | None
) -> tuple[Case, list[str]]:
    """The complex to scan, and what a reader is to know of the choice.

    Without names it is the one that `copra predict` takes, so that the wild type's dG is the same; where that one
    does not hold the chain, it is the chain with what touches it. Raises InputError for a chain that is not of the
    file, and where the named complex does not hold it.
    """
    case = engine.case(path, protein, rna, model)
    if chain in case.interface.chain_ids:
        return case, []
    kinds = dict(zip(case.structure.chain_ids, case.structure.molecule_types, strict=True))
    if chain not in kinds:
        listed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise InputError(f"{path}: --chain names chain {chain}, which is not there; the chains are {listed}")
    if kinds[chain] == "dna":
        raise InputError(f"{path}: --chain expects a protein or RNA chain, found chain {chain}, which is DNA")
    if protein or rna:
        names = ", ".join(case.interface.chain_ids)
        raise InputError(f"{path}: --chain {chain} is not of the complex, whose chains are {names}")
    taken = case.chosen.complex_id
    is_protein = kinds[chain] == "protein"
    case = engine.case(path, [chain] if is_protein else None, None if is_protein else [chain], model)
    return case, [f"scanned is {case.chosen.complex_id}, not {taken}, which a prediction without names takes"]


def find_target(case: Case, path: Path, chain: str, *, rna_scan: bool, all_copies: bool) -> Target:
    """The chain of the case to scan; raises InputError for RNA without --rna-scan."""
    index = case.structure.chain_ids.index(chain)
    molecule = "protein" if chain in case.chosen.protein_chains else "rna"
    if molecule == "rna" and not rna_scan:
        raise InputError(
            f"{path}: --chain {chain} is {case.structure.molecule_types[index]}; scans of RNA are experimental and "
            "want --rna-scan"
        )
    same = same_sequence_chains(case.structure, index)
    copies = tuple(name for name in case.interface.chain_ids if name in same)
    return Target(
        chain=chain,
        index=index,
        molecule=molecule,
        mutated=(chain, *copies) if all_copies else (chain,),
        unchanged_copies=() if all_copies else copies,
    )


def named_places(case: Case, package: Package, target: Target) -> dict[str, list[int]]:
    """What `interface` and `contacts` mean for the scanned chain: places (0-based) in its full sequence."""
    structure, cutoff_angstrom = case.structure, package.structures.contact_cutoff_angstrom
    sides = (case.chosen.protein_chains, case.chosen.rna_chains)
    touching = contact_residues(structure, sides, cutoff_angstrom)
    own = touching[structure.arrays["chain"][touching] == target.index]
    return {
        "interface": sorted(interface_places(case.interface, package, (target.chain,))),
        "contacts": structure.arrays["polymer_index"][own].tolist(),
    }


def cautions_of(target: Target, exchanges: list[Substitution], found: Effects) -> list[str]:
    """What a reader is to know of the numbers, most serious first."""
    told = [EXPERIMENTAL_RNA] if target.molecule == "rna" else []
    n_unseen = int(np.count_nonzero(found.unseen))
    if n_unseen:
        names = list(dict.fromkeys(e.position.name for e, no in zip(exchanges, found.unseen, strict=True) if no))
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        told.append(
            f"{n_unseen} of {counted(len(exchanges), 'substitution')} have a ddG of exactly 0 because the model does "
            f"not see the residue; that is no finding: {', '.join(names[:SHOWN_NAMES])}{more}"
        )
    if target.unchanged_copies:
        others = ", ".join(target.unchanged_copies)
        told.append(
            f"each exchange stands in chain {target.chain} alone; {others} of the complex has the same sequence and "
            "stays the wild type (--all-copies changes every copy)"
        )
    if len(target.mutated) > 1:
        told.append(f"each exchange stands in every copy of the chain: {', '.join(target.mutated)}")
    return told


def method_of(package: Package, target: Target, found: Effects) -> str:
    """How ddG was computed and how far the members agree, for the reader of the page."""
    lms = package.language_models
    lm = lms.protein if target.molecule == "protein" else lms.rna
    how = (
        f"each mutated sequence went through {lm.name}"
        if lm
        else "no language model reads this molecule, so only residues that are nodes of the model count"
    )
    text = (
        f"Mean over {counted(len(package.members), 'model')} trained on labelled complexes and on no mutation. The "
        f"backbone is the wild type's, the residue's type is changed, and {how}."
    )
    ddg = found.ddg_kcal_mol
    if len(ddg) > 1:
        clear = int(np.count_nonzero(np.abs(ddg.mean(axis=0)) > ddg.std(axis=0, ddof=1)))
        text += (
            f" In {clear} of {ddg.shape[1]} substitutions ddG is larger than its standard deviation over the models."
        )
    return text
