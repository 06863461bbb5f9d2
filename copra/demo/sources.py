"""The tables of the demo archive, each in the format of the source it stands for. All of it is invented."""

from __future__ import annotations

import csv
import io
import json

from copra.demo.labels import (
    ROOM_TEMPERATURE_K,
    UNITS,
    WARM_TEMPERATURE_K,
    WRONG_UNIT_FACTOR,
    Labelled,
    dg_of_text,
    kd_text,
    quantity_text,
)
from copra.demo.law import CONTACT_ANGSTROM, dg_kcal_mol, kd_molar, near_residues
from copra.demo.molecules import Chain, Entry
from copra.demo.mutations import Mutation

NOTICE = "SYNTHETIC demo data, not real"
PRBABV2_COLUMNS = [
    "No", "PDB ID", "Protein name", "RNA name", "Kd(Experimental Value)", "Kd(mol)", "△G°（kcal/mol)", "Method",
    "pH", "T(k)", "Reference", "Reference location", "Buffer",
]  # fmt: skip
PRONAB_COLUMNS = [
    "id", "protein_name", "protein_source", "length", "uniprot_id", "PDB_complex", "mutation_protein",
    "nucleic_acid_name", "type_nuc", "pH", "temperature (K)", "method", "dG_wild (kcal/mol)",
    "dG_mutant (kcal/mol)", "ddG", "year", "authors", "journal", "keywords",
]  # fmt: skip
METHODS = ("isothermal titration calorimetry", "electrophoretic mobility shift assay", "filter binding assay")
# lines of PDBbind about DNA, which the pipeline must leave out; ids never given out by the PDB
DNA_LINES = (
    "0naa  2.10  2004  Kd=12.0nM     // 0naa.pdf (A|BC) {notice}: protein and DNA operator",
    "0nab   NMR  2009  Kd=3.1uM      // 0nab.pdf (A|BC) {notice}: protein and DNA duplex",
    "0nac  2.75  2011  Kd=85pM       // 0nac.pdf (AB|CD) {notice}: [Ternary complex] protein dimer and DNA",
    "0nad  1.95  2015  IC50=240nM    // 0nad.pdf (A|T) {notice}: protein and DNA 12-mer",
)
NONSENSE_LINE = "0nzz  2.40  2016  Kd=?!nM       // 0nzz.pdf (A|R) {notice}: a row without a value"


def search_answer(identifiers: list[str]) -> str:
    """The answer of the RCSB search service: an older one, that names entries by ids which are obsolete now."""
    found = [{"identifier": name.upper(), "score": 1.0} for name in sorted(identifiers)]
    answer = {
        "query_id": "00000000-0000-0000-0000-synthetic000", "result_type": "entry", "total_count": len(found),
        "result_set": found,
    }  # fmt: skip
    return json.dumps(answer, indent=2) + "\n"


def obsolete_list(successors: dict[str, str]) -> str:
    """The archive's list of obsolete entries; "" where an entry was withdrawn without a successor."""
    lines = [f"OBSLTE    01-JAN-01 {old.upper()}     {new.upper()}".rstrip() for old, new in sorted(successors.items())]
    return "\n".join([f" LIST OF OBSOLETE COORDINATE ENTRIES AND SUCCESSORS ({NOTICE})", *lines]) + "\n"


def pdbbind_index(labelled: list[Labelled], extra: list[tuple[Entry, float]]) -> str:
    """PDBbind's index of protein-nucleic-acid complexes; `extra` are entries that cannot become records."""
    lines = [_pdbbind_line(item.entry, _binding(item)) for item in labelled if item.pdbbind is not None]
    lines += [_pdbbind_line(entry, f"Kd={kd_text(dg, ROOM_TEMPERATURE_K)}") for entry, dg in extra]
    lines += [line.format(notice=NOTICE) for line in (*DNA_LINES, NONSENSE_LINE)]
    lines.sort(key=lambda line: (line[12:16], line[:4]))
    rule = "# " + "=" * 88
    head = [
        rule,
        f"# {NOTICE.upper()}: list of invented complexes in the form of the PDBbind index",
        f"# {len(lines)} complexes in total, sorted by their release year",
        "# PDB code, resolution, release year, binding data, reference",
        "# The brackets hold the protein chains and the nucleic-acid chains",
        rule,
    ]
    return "\n".join(head + lines) + "\n"


def _pdbbind_line(entry: Entry, binding: str) -> str:
    resolution = "NMR" if entry.resolution is None else f"{entry.resolution:.2f}"
    chains = f"({_letters(entry.of('protein'))}|{_letters(entry.of('rna'))})"
    year = entry.release_date[:4]
    return f"{entry.pdb_id}  {resolution:>4}  {year}  {binding:<13} // {entry.pdb_id}.pdf {chains} {NOTICE}"


def _letters(chains: list[Chain]) -> str:
    return "".join(chain.name for chain in chains)


def _binding(item: Labelled) -> str:
    assert item.pdbbind is not None
    value = kd_text(item.pdbbind, ROOM_TEMPERATURE_K)
    if item.role == "censored":
        return ("Kd<" if item.noise_kcal_mol < 0 else "Kd>") + value
    return {"ic50": "IC50=", "ki": "Ki=", "approximate": "Kd~"}.get(item.role, "Kd=") + value


def _table(columns: list[str], rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def prbabv2_table(labelled: list[Labelled]) -> str:
    """PRBAB v2.0: text, Kd and dG of each row, with method, pH and temperature."""
    return _table(PRBABV2_COLUMNS, [
        _prbabv2_row(k + 1, item) for k, item in enumerate(item for item in labelled if item.prbabv2 is not None)
    ])  # fmt: skip


def _prbabv2_row(row: int, item: Labelled) -> list[str]:
    assert item.prbabv2 is not None
    kelvin = 298.0 if item.temperature_k == ROOM_TEMPERATURE_K else WARM_TEMPERATURE_K
    number, unit = quantity_text(kd_molar(item.prbabv2, kelvin))
    dg = dg_of_text(number, unit, kelvin)
    if item.role == "inconsistent":
        dg = dg_kcal_mol(float(number) * UNITS[unit] * WRONG_UNIT_FACTOR, kelvin)
    entry = item.entry
    name = f"{entry.pdb_id.upper()}_{_letters(entry.of('protein'))}:{_letters(entry.of('rna'))}"
    return [
        str(row), name, f"{NOTICE}: protein of family {entry.family}", f"{len(entry.of('rna')[0].residues)}-nt RNA",
        _written(number, unit, row), f"{float(number) * UNITS[unit]:.6g}", f"{dg:.13f}", METHODS[row % 3],
        f"pH {7.0 + 0.5 * (row % 2)}", "unstated" if item.role == "unstated" else f"{kelvin:g}", "", "Table 1",
        f"{NOTICE}; 20 mM buffer, 100 mM salt",
    ]  # fmt: skip


def _written(number: str, unit: str, row: int) -> str:
    """The Kd as people write it: plain, with an error, with spaces, in another unit."""
    greek = unit.replace("u", "μ")
    error = f"{float(number) * 0.1:.2g}"
    if row % 4 == 1:
        return f"{number}±{error}{greek}"
    if row % 4 == 2:
        return f"{number} ± {error} {greek}"
    if row % 4 == 3:
        return f"{float(number) * UNITS[unit]:.2E}M".replace("E-0", "E-")
    return f"{number}{greek}"


def pronab_table(labelled: list[Labelled], mutations: list[Mutation]) -> str:
    """A ProNAB export: the wild types, and mutants with their own dG and their ddG."""
    rows: list[list[str]] = []
    for item in labelled:
        if item.pronab is None:
            continue
        rows.append(_pronab_row(len(rows) + 1, item, "wild", "", ""))
        for mutation in mutations:
            if mutation.pdb_id == item.entry.pdb_id:
                mutant = f"{item.pronab + mutation.ddg_kcal_mol:.2f}"
                rows.append(_pronab_row(len(rows) + 1, item, mutation.name, mutant, f"{mutation.ddg_kcal_mol:.2f}"))
    return _table(PRONAB_COLUMNS, rows)


def _pronab_row(number: int, item: Labelled, mutation: str, mutant: str, ddg: str) -> list[str]:
    first = item.entry.of("protein")[0]
    return [
        str(number), f"{NOTICE}: protein of family {item.entry.family}", "synthetic construct",
        str(len(first.residues)), "", item.entry.pdb_id.upper(), mutation,
        f"{len(item.entry.of('rna')[0].residues)}-nt RNA", "RNA", "7.5", "298", METHODS[number % 3],
        f"{item.pronab:.2f}", mutant, ddg, item.entry.release_date[:4], "", "", NOTICE,
    ]  # fmt: skip


def biolip_table(entries: list[Entry]) -> str:
    """BioLiP: one row per protein chain and nucleic chain in contact, and some of other ligands."""
    lines = []
    for entry in sorted(entries, key=lambda e: e.pdb_id):
        site = 0
        for protein in entry.of("protein"):
            for nucleic in entry.of("rna", "dna"):
                (found,), _ = near_residues([protein], [nucleic], CONTACT_ANGSTROM)
                if found:
                    site += 1
                    lines.append(_biolip_line(entry, protein, nucleic.molecule, nucleic, sorted(found), site))
        if entry.ions:
            protein = entry.of("protein")[0]
            lines.append(_biolip_line(entry, protein, "MG", protein, [0, 1], site + 1))
    return "\n".join(lines) + "\n"


def _biolip_line(entry: Entry, protein: Chain, ligand: str, partner: Chain, found: list[int], site: int) -> str:
    seen = [i for i, residue in enumerate(protein.residues) if residue.observed]
    receptor = "".join(protein.residues[i].letter for i in seen)
    residues = [protein.residues[i] for i in found]
    by_author = [f"{residue.letter}{residue.number}{residue.insertion.strip('?')}" for residue in residues]
    renumbered = [f"{protein.residues[i].letter}{seen.index(i) + 1}" for i in found]
    polymer = ligand in {"rna", "dna"}
    numbers = f"{partner.residues[0].number}~{partner.residues[-1].number}" if polymer else "101"
    return "\t".join([
        entry.pdb_id, protein.name, "-1.00" if entry.resolution is None else f"{entry.resolution:.2f}",
        f"BS{site:02d}", ligand, partner.name, "0" if polymer else "1", " ".join(by_author), " ".join(renumbered),
        *[""] * 10, numbers, receptor,
    ])  # fmt: skip


def mutation_list(mutations: list[Mutation]) -> str:
    """mCSM's list: `0DAA_A_K12A`, a tab and the change of dG in kcal/mol, mutant minus wild type."""
    return "".join(f"{m.pdb_id.upper()}_{m.chain}_{m.name}\t{m.ddg_kcal_mol:.2f}\n" for m in mutations)
