"""Writing the demo archive: a synthetic miniature world in the sources' own file formats.

Nothing in it is real. The affinities follow a stated law (`copra.demo.law`) plus stated noise, so that it
is known what a model can learn from it and what it cannot.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from copra.demo import sources
from copra.demo.labelled import HARD_CASE_TEXT, labelled_entries
from copra.demo.labels import Labelled, is_expected, label_all
from copra.demo.mmcif import mmcif_text, write_gzip
from copra.demo.molecules import Entry
from copra.demo.mutations import mutations_of
from copra.demo.world import small_entry, unlabelled_entries
from copra.files import replacing

log = logging.getLogger(__name__)

DAMAGED_ID, MISSING_ID, OBSOLETE_ID, WITHDRAWN_ID = "0xaa", "0xab", "0xac", "0xad"
TWO_LETTER_CHAINS_ENTRY = 3  # index among the unlabelled, one with two protein chains
SUCCESSOR_ENTRY = 4  # index among the unlabelled, of the entry that the search names by OBSOLETE_ID
EXTRA_DG_KCAL_MOL = -8.0


def write_demo(folder: Path, *, seed: int) -> None:
    """Write the demo archive, `truth.tsv` and `hard_cases.tsv` into `folder`; the same seed gives the same bytes.

    Structure files of an earlier archive that do not belong to this one are removed.
    """
    # one stream for each part, so that a change in one part leaves the others as they are
    streams = [np.random.default_rng([seed, part]) for part in range(6)]
    members = labelled_entries(streams[0])
    small = unlabelled_entries(streams[1])
    lost = [small_entry(name, "X", 3, streams[2]) for name in (DAMAGED_ID, MISSING_ID)]
    lost[0].damaged, lost[0].hard_case = True, "damaged"
    lost[1].in_archive, lost[1].hard_case = False, "missing"
    two_letters = small[TWO_LETTER_CHAINS_ENTRY]
    two_letters.chains[0].name, two_letters.chains[1].name = "AA", "Aa"
    two_letters.hard_case = "two_letter_chain_ids_differ_by_case"
    small[SUCCESSOR_ENTRY].hard_case = "listed_by_its_obsolete_id"
    labelled = label_all(members, streams[3])
    entries = members + small + lost
    for entry in entries:
        entry.title = f"SYNTHETIC DEMO COMPLEX, NOT A REAL STRUCTURE: FAMILY {entry.family}, {entry.pdb_id.upper()}"
    _write_structures(folder / "archive" / "structures", entries, streams[4])
    _write_tables(folder, labelled, entries, lost, streams[5])
    log.info("%s: %d entries, %d with a label", folder, len(entries), len(labelled))


def _write_structures(folder: Path, entries: list[Entry], rng: np.random.Generator) -> None:
    written = set()
    for entry in entries:
        if not entry.in_archive:
            continue
        text = mmcif_text(entry, rng)
        if entry.damaged:  # in the middle of an atom row
            text = text[: text.rindex("\nATOM ") + 20]
        path = folder / "divided" / "mmCIF" / entry.pdb_id[1:3] / f"{entry.pdb_id}.cif.gz"
        write_gzip(path, text.encode())
        written.add(path)
    for path in folder.rglob("*.cif.gz"):
        if path not in written:
            path.unlink()


def _write_tables(
    folder: Path, labelled: list[Labelled], entries: list[Entry], lost: list[Entry], rng: np.random.Generator
) -> None:
    mutations = mutations_of(labelled, rng)
    present = [entry for entry in entries if entry.in_archive]
    successor = next(entry.pdb_id for entry in entries if entry.hard_case == "listed_by_its_obsolete_id")
    listed = [OBSOLETE_ID if entry.pdb_id == successor else entry.pdb_id for entry in entries]
    texts = {
        "archive/search/protein_rna_entries.json": sources.search_answer(listed),
        "archive/status/obsolete.dat": sources.obsolete_list({OBSOLETE_ID: successor, WITHDRAWN_ID: ""}),
        "archive/pdbbind/INDEX_general_PN.2020R1.lst": sources.pdbbind_index(
            labelled, [(entry, EXTRA_DG_KCAL_MOL) for entry in lost]
        ),
        "archive/prbabv2/prbabv2.csv": sources.prbabv2_table(labelled),
        "archive/pronab/pronab.csv": sources.pronab_table(labelled, mutations),
        "archive/mcsm/mutations.txt": sources.mutation_list(mutations),
        "truth.tsv": _truth(labelled),
        "hard_cases.tsv": _hard_cases(entries),
    }
    for name, text in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    write_gzip(folder / "archive" / "biolip" / "BioLiP.txt.gz", sources.biolip_table(present).encode())


def _truth(labelled: list[Labelled]) -> str:
    """What the generator knows of each labelled complex; the pipeline never reads it."""
    columns = [
        "pdb_id", "protein_chains", "rna_chains", "family", "positive_fraction", "purine_fraction", "n_shell_protein",
        "n_shell_rna", "law_dg_kcal_mol", "noise_kcal_mol", "label_dg_kcal_mol", "temperature_k", "role", "expected",
        "hard_case",
    ]  # fmt: skip
    lines = ["\t".join(columns)]
    for item in labelled:
        chains = [",".join(chain.name for chain in item.entry.of(molecule)) for molecule in ("protein", "rna")]
        lines.append("\t".join([
            item.entry.pdb_id, *chains, item.entry.family, f"{item.terms.positive:.6f}", f"{item.terms.purine:.6f}",
            str(item.terms.n_protein), str(item.terms.n_rna), f"{item.law_dg_kcal_mol:.4f}",
            f"{item.noise_kcal_mol:.4f}", f"{item.label_dg_kcal_mol:.4f}", f"{item.temperature_k:g}", item.role,
            "yes" if is_expected(item) else "no", item.entry.hard_case,
        ]))  # fmt: skip
    return "\n".join(lines) + "\n"


def _hard_cases(entries: list[Entry]) -> str:
    rows = [f"{e.pdb_id}\t{e.hard_case}\t{HARD_CASE_TEXT[e.hard_case]}" for e in entries if e.hard_case]
    return "\n".join(["pdb_id\thard_case\twhat", *rows]) + "\n"
