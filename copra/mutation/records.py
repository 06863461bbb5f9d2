"""The verb that chooses the complex of every mutation effect, cuts its interface and deals the cross-validated set."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import Pra310
from copra.config_split import Alignment
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.mutation.exchange import read_changes
from copra.mutation.relations import deal_clusters, relate
from copra.parse.obsolete import same_entry_key
from copra.predict.cautions import ComplexLimits
from copra.predict.chains import choose_complex
from copra.predict.result import ChosenComplex
from copra.progress import progress
from copra.structure.interface import Interface, cut_interface
from copra.structure.residues import PROTEIN, Structure
from copra.structure.store import StructureStore, write_interfaces
from copra.structure.surface import buried_area_angstrom2
from copra.tables import TABLES, concat_tables, read_table, write_table

log = logging.getLogger(__name__)

NO_COMPLEX = "no_complex"  # neither the named chain nor a copy of it touches a chain of the other molecule
REPEATED = "in_another_set"  # the same exchange in the same sequence is in the cross-validated or the blind set


@dataclass
class Cut:
    """Complexes that were chosen and cut so far, of all entries."""

    interfaces: dict[str, Interface] = field(default_factory=dict)  # by complex id
    proteins: dict[str, dict[str, str]] = field(default_factory=dict)  # full sequences by sha256, by complex id


@dataclass(frozen=True)
class Cutting:
    """How a complex is chosen and cut."""

    cutoff_angstrom: float
    limits: ComplexLimits
    interface_nodes: int


def select_mutations(
    mutants: Path,
    *,
    refused: Path,
    mutations: list[Path],
    cv_sources: list[str],
    blind_sources: list[str],
    extra_sources: list[str],
    stores: list[Path],
    records: Path,
    folds: Path,
    n_folds: int,
    related_identity: float,
    scoring: Alignment,
    limits: Pra310,
    contact_cutoff_angstrom: float,
    interface_nodes: int,
    threads: int,
    out: Path,
    rejects: Path,
    interfaces: Path,
) -> None:
    """Write the mutation effects that can be predicted (`mutation_records`), their interfaces, and all others.

    `mutations` are the stated effects of the sources, `mutants` and `refused` what `copra apply-mutations` made of
    them; `records` and `folds` are the labelled complexes and their split. Every stated effect of a named source ends
    in `out` or, with a reason, in `rejects`: those of `refused` as they stand there, `in_another_set` for an extra one
    that another set holds too, `no_complex` where none holds the mutated chain. `interfaces` holds the wild types'.
    Which complex that is: `complex_of`, and where the named chain touches nothing, that of its first copy that does.
    """
    part = (
        dict.fromkeys(cv_sources, "cv") | dict.fromkeys(blind_sources, "blind") | dict.fromkeys(extra_sources, "extra")
    )
    every = concat_tables(mutations, "mutations").to_dict("records")
    stated = {row["mutation_id"]: row for row in every if row["source"] in part}
    table = read_table(mutants, "mutants")
    table = table[table["mutation_id"].isin(list(stated))]
    lost = read_table(refused, "rejects")
    bad: list[dict[Any, Any]] = lost[lost["source"].isin(part)].to_dict("records")
    cutting = Cutting(contact_cutoff_angstrom, _limits(limits, interface_nodes), interface_nodes)
    good: list[dict[str, Any]] = []
    cut = Cut()
    repeated = repetitions(table, part)
    bad += [_reject(stated[name], REPEATED, f"found as {other} too") for name, other in repeated.items()]
    for row, found in _chosen(table[~table["mutation_id"].isin(list(repeated))], stores, cutting, cut):
        told = stated[row["mutation_id"]]
        if isinstance(found, str):
            bad.append(_reject(told, NO_COMPLEX, found))
        else:
            good.append({**found, "part": part[row["source"]], "ddg_kcal_mol": told["ddg_mut_minus_wt_kcal_mol"],
                         "temperature_k": told["temperature_k"]})  # fmt: skip
    if (n_found := len(good) + len(bad)) != len(stated):
        raise InputError(f"{mutants} and {refused}: expected {len(stated)} mutations, as stated, found {n_found}")
    frame = _related(good, cut, records, folds, n_folds, related_identity, scoring, threads)
    write_table(frame, out, "mutation_records")
    write_table(pd.DataFrame(bad, columns=TABLES["rejects"].schema().names), rejects, "rejects")
    write_interfaces(list(cut.interfaces.values()), interfaces)
    kept, lost_by = (dict(sorted(Counter(names).items())) for names in (frame["part"], [row["reason"] for row in bad]))
    log.info("mutations: %d of %d, by part %s; refused: %s", len(frame), len(stated), kept, lost_by or "none")


def repetitions(mutants: pd.DataFrame, part: dict[str, str]) -> dict[str, str]:
    """Mutations of the extra sets whose wild type and mutant are those of another set: their ids and the other's.

    `mutants` is the table of that name, `part` says of each source whether it is `cv`, `blind` or `extra`.
    """
    names = mutants.sort_values("mutation_id")
    keys = list(zip(names["wildtype_sha256"], names["mutant_sha256"], strict=True))
    is_extra = (names["source"].map(part) == "extra").tolist()
    ids = names["mutation_id"].tolist()
    first: dict[tuple[str, str], str] = {}
    for key, extra, name in zip(keys, is_extra, ids, strict=True):
        if not extra:
            first.setdefault(key, name)
    return {name: first[key] for key, extra, name in zip(keys, is_extra, ids, strict=True) if extra and key in first}


def _reject(told: dict[Any, Any], reason: str, detail: str) -> dict[Any, Any]:
    said = {name: told[name] for name in ("source", "source_row", "raw_text")}
    return {**said, "reason": reason, "detail": detail}


def _limits(settings: Pra310, interface_nodes: int) -> ComplexLimits:
    names = ("max_packing_contacts", "max_protein_chains", "max_rna_chains", "max_protein_residues",
             "max_rna_nucleotides")  # fmt: skip
    return ComplexLimits(interface_nodes=interface_nodes, **{name: getattr(settings, name) for name in names})


def _chosen(table: pd.DataFrame, stores: list[Path], cutting: Cutting, cut: Cut) -> Any:
    """(row of `mutants`, what is known of it for `mutation_records` or why it has no complex), entry by entry.

    A mutant whose entry is in none of the stores is not given at all.
    """
    by_entry = dict(list(table.groupby(table["pdb_id"].map(same_entry_key), sort=True)))
    for path in progress(sorted(stores), "stores", len(stores)):
        with StructureStore(path) as store:
            for pdb_id in store.pdb_ids:
                rows = by_entry.pop(same_entry_key(pdb_id), None)
                if rows is None:
                    continue
                structure = store.read(pdb_id)
                for _, of_chain in rows.groupby("chain", sort=True):
                    found = _cut_complex(structure, of_chain.iloc[0], cutting, cut)
                    for row in of_chain.to_dict("records"):
                        yield row, found if isinstance(found, str) else _record(row, found)


def _cut_complex(structure: Structure, row: Any, cutting: Cutting, cut: Cut) -> Interface | str:
    """The interface of the complex of a mutated chain or else of its first copy that has one, or why there is none."""
    why = ""
    for chain in [row["chain"], *filter(None, row["same_sequence_chains"].split(","))]:
        try:
            chosen = complex_of(structure, chain, row["molecule_type"] == "protein", cutting)
            break
        except InputError as error:
            why = why or str(error)
    else:
        return why
    name, sides = chosen.complex_id, (list(chosen.protein_chains), list(chosen.rna_chains))
    if name not in cut.interfaces:
        interface = cut_interface(structure, name, *sides, cutting.interface_nodes)
        cut.interfaces[name] = replace(interface, buried_area_angstrom2=buried_area_angstrom2(structure, name, *sides))
        sequences = [structure.sequences[structure.chain_ids.index(chain)] for chain in sides[0]]
        cut.proteins[name] = {sha256_of_text(sequence): sequence for sequence in sequences}
    return cut.interfaces[name]


def complex_of(structure: Structure, chain: str, is_protein: bool, cutting: Cutting) -> ChosenComplex:
    """The complex of a mutated chain: what `choose_complex` says of its partners.

    They are found by naming that chain, then named themselves, so that a homodimer on one RNA is one complex, mutated
    in both chains. Where that leaves the limits of PRA310 or loses the chain, it is the chain with its partners.

    Raises InputError where the chain touches no chain of the other molecule.
    """
    path, limits = Path(structure.pdb_id), cutting.limits

    def choose(names: list[str], are_protein: bool) -> ChosenComplex:
        protein, rna = (names, None) if are_protein else (None, names)
        return choose_complex(structure, path, protein, rna, cutting.cutoff_angstrom, limits)

    alone = choose([chain], is_protein)
    partners = alone.rna_chains if is_protein else alone.protein_chains
    whole = choose(list(partners), not is_protein)
    sizes = len(whole.protein_chains), len(whole.rna_chains)
    holds = chain in (whole.protein_chains if is_protein else whole.rna_chains)
    fits = sizes[0] <= limits.max_protein_chains and sizes[1] <= limits.max_rna_chains
    return whole if holds and fits else alone


def _record(row: dict[Any, Any], interface: Interface) -> dict[str, Any]:
    """What is known of a mutant's row and its complex's interface, for `mutation_records`."""
    molecule = PROTEIN if row["molecule_type"] == "protein" else 1 - PROTEIN
    sums = interface.chain_sequence_sha256
    # with the sequence of the named chain, and of its molecule: a peptide AAAA and an RNA AAAA have the same sum
    side = interface.complex_id.split(":")[1 + molecule].split(",")
    mutated = [
        c for c, key in zip(interface.chain_ids, sums, strict=True) if key == row["wildtype_sha256"] and c in side
    ]
    places = [change.polymer_index for change in read_changes(row["mutation"], row["polymer_indices"])]
    nodes = {(interface.chain_ids[c], int(p)) for c, p in zip(interface.chain, interface.polymer_index, strict=True)}
    copied = ("mutation_id", "source", "pdb_id", "chain", "molecule_type", "mutation", "mutation_kind",
              "polymer_indices", "wildtype_sha256", "mutant_sha256")  # fmt: skip
    return {
        **{name: row[name] for name in copied},
        "complex_id": interface.complex_id,
        "n_changes": len(places),
        "mutated_chains": ",".join(mutated),
        "in_interface": any((chain, place) in nodes for chain in mutated for place in places),
    }


def _related(
    rows: list[dict[str, Any]], cut: Cut, records: Path, folds: Path, n_folds: int, related_identity: float,
    scoring: Alignment, threads: int,
) -> pd.DataFrame:  # fmt: skip
    """The table `mutation_records`: the rows with clusters, related records and folds."""
    labelled = read_table(records, "records")
    relations = relate(
        cut.proteins, labelled, records, related_identity=related_identity, scoring=scoring, threads=threads
    )
    frame = pd.DataFrame(rows, columns=TABLES["mutation_records"].schema().names)
    frame["cluster"] = frame["complex_id"].map(relations.cluster)
    for name in ("wild_type_records", "related_records"):
        of_complex = getattr(relations, name)
        frame[name] = [";".join(of_complex[complex_id]) for complex_id in frame["complex_id"]]
    dealt = read_table(folds, "folds")
    fold_of_record = dict(zip(dealt["record_id"], dealt["fold"], strict=True))
    is_cv = frame["part"] == "cv"
    fold = deal_clusters(frame[is_cv], fold_of_record, n_folds)
    frame["fold"] = [fold[c] if cv else None for c, cv in zip(frame["cluster"], is_cv, strict=True)]
    return frame.astype({"fold": "Int64"})
