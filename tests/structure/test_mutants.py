from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sample_results

from copra.files import sha256_of_file, sha256_of_text
from copra.parse.mutations import parse_mutations
from copra.structure.mutants import REASONS, NotApplicable, apply_mutations, mutant_of
from copra.structure.reader import read_structure
from copra.structure.residues import ATOM_ARRAYS, LETTERS, RESIDUE_ARRAYS, Structure, type_index
from copra.structure.store import write_structures
from copra.tables import read_table

# chain -> molecule, full sequence, and its observed residues as place:number[insertion code][=name]
CHAINS = {
    "A": ("protein", "GSKRDMKLLWK", "2:-1 3:0 4:1=ASP 5:2=MSE 6:52 7:52A 8:52B 9:60"),  # no G1, S2 and K11
    "B": ("protein", "GSKRDMKLLWK", "0:1 1:2 2:3"),
    "D": ("protein", "MKXK", "0:7 1:8 2:9=UNK 3:9"),  # two residues 9
    "R": ("rna", "ACGUAG", "0:1 1:2 2:3=5MC 3:4 4:5 5:6"),
    "H": ("hybrid", "AUGC", "0:1 1:2 2:3 3:4"),
    "T": ("dna", "AUGC", "0:1 1:2 2:3 3:4"),
}


def structure(pdb_id: str = "1syn", chains: dict[str, tuple[str, str, str]] | None = None) -> Structure:
    """A structure without atoms."""
    rows: dict[str, list[Any]] = {name: [] for name in RESIDUE_ARRAYS}
    chains = CHAINS if chains is None else chains
    for index, (molecule, sequence, residues) in enumerate(chains.values()):
        for text in residues.split():
            place, _, named = text.partition(":")
            number, _, name = named.partition("=")
            rows["chain"].append(index)
            rows["residue_name"].append(name or "any")
            rows["residue_type"].append(type_index(sequence[int(place)], molecule == "protein"))
            rows["polymer_index"].append(int(place))
            rows["auth_number"].append(int(number.rstrip("AB")))
            rows["insertion_code"].append(number[-1] if number[-1] in "AB" else "")
    n_residues = len(rows["chain"])
    arrays = {
        name: np.array(rows[name] or np.zeros((n_residues, *shape)), dtype=kind)
        for name, (kind, shape) in RESIDUE_ARRAYS.items()
    }
    arrays |= {name: np.zeros((0, *shape), dtype=kind) for name, (kind, shape) in ATOM_ARRAYS.items()}
    molecules, sequences, _ = zip(*chains.values(), strict=True)
    many = ("",) * len(chains), ("seqres",) * len(chains)
    atom_offsets = np.zeros(n_residues + 1, dtype=np.int64)
    return Structure(
        pdb_id, "", "", None, "", 1, {}, tuple(chains), many[0], molecules, sequences, many[1], arrays, atom_offsets
    )


def effect(mutation: str, chain: str = "A", kind: str = "single", pdb_id: str = "1syn") -> dict[str, Any]:
    """A row of the table `mutations`."""
    name = f"{pdb_id}_{chain}_{mutation}"
    said = {"pdb_id": pdb_id, "chain": chain, "mutation": mutation, "mutation_kind": kind}
    return sample_results.fill(
        "mutations", mutation_id=f"some:{name}", source="some", source_row=name, raw_text=name, **said
    )


@pytest.mark.parametrize(
    ("mutation", "chain", "kind", "changed", "places"),
    [
        ("K-1A", "A", "single", "GSARDMKLLWK", "2"),
        ("R0W", "A", "single", "GSKWDMKLLWK", "3"),
        ("K52A", "A", "single", "GSKRDMALLWK", "6"),
        ("L52AA", "A", "single", "GSKRDMKALWK", "7"),
        ("L52BR", "A", "single", "GSKRDMKLRWK", "8"),
        ("L52BR,K52A,K-1G", "A", "multiple", "GSGRDMALRWK", "8,6,2"),
        ("M2A", "A", "single", "GSKRDAKLLWK", "5"),  # selenomethionine counts as its parent
        ("S2C", "B", "single", "GCKRDMKLLWK", "1"),
        ("U4C", "R", "rna", "ACGCAG", "3"),
        ("A1U,G6C", "R", "rna", "UCGUAC", "0,5"),
        ("C2G", "R", "single", "AGGUAG", "1"),  # cysteine to glycine by its letters, cytosine by the chain
        ("U2A", "H", "rna", "AAGC", "1"),
    ],
)
def test_a_mutation_is_put_into_its_chain(mutation: str, chain: str, kind: str, changed: str, places: str) -> None:
    row = mutant_of(effect(mutation, chain, kind), structure())
    assert (row["mutant_sequence"], row["polymer_indices"]) == (changed, places)
    assert row["mutant_sha256"] == sha256_of_text(changed)
    assert row["wildtype_sha256"] == sha256_of_text(CHAINS[chain][1])
    assert row["n_residues"] == len(changed)
    assert row["molecule_type"] == ("protein" if chain in "AB" else "rna")


def test_copies_and_residue_names_are_told() -> None:
    row = mutant_of(effect("M2A,D1N", kind="multiple"), structure())
    assert (row["same_sequence_chains"], row["residue_names"]) == ("B", "MSE,ASP")
    # an RNA and a DNA with the same letters are no copies of one another
    assert mutant_of(effect("U2A", "H", "rna"), structure())["same_sequence_chains"] == ""


@pytest.mark.parametrize(
    ("mutation", "chain", "kind", "reason", "words"),
    [
        ("K52A", "a", "single", "no_chain", "no chain a in 1syn, which has A protein, B protein"),
        ("D52A", "A", "single", "other_wild_type", "found K (any) with number 52 in chain A, expected D"),
        ("A52K", "A", "single", "mutant_in_structure", "found K (any) with number 52 in chain A, expected A"),
        ("K52A,D0A", "A", "multiple", "other_wild_type", "found R (any) with number 0 in chain A, expected D"),
        ("L52CA", "A", "single", "no_residue", "found no 52C in chain A, whose observed residues are -1 to 60"),
        ("S-2A", "A", "single", "no_coordinates", "found no -2 in chain A"),
        ("K61A", "A", "single", "no_coordinates", "found no 61 in chain A"),
        ("K-4A", "A", "single", "no_residue", "found no -4 in chain A"),
        ("K62A", "A", "single", "no_residue", "found no 62 in chain A"),
        ("K30A", "A", "single", "no_residue", "found no 30 in chain A"),  # numbers jump, no residue is missing
        ("K9A", "D", "single", "ambiguous_residue", "found UNK and any with number 9 in chain D"),
        ("D52A", "R", "single", "wrong_molecule", "found D52A for chain R, which is rna"),
        ("U4C", "A", "rna", "wrong_molecule", "found U4C for chain A, which is protein"),
        ("U2C", "T", "rna", "wrong_molecule", "which is dna"),
        ("K52A,U4C", "A", "protein_and_rna", "two_molecules", "found K52A,U4C, and one chain, A"),
        ("K52", "A", "single", "bad_mutation", "found 'K52'"),
        ("KA", "A", "single", "bad_mutation", "found 'KA'"),
        ("K52K", "A", "single", "bad_mutation", "found 'K52K'"),
        ("K52A,K052R", "A", "multiple", "bad_mutation", "mutates a residue twice"),
        ("K999999999A", "A", "single", "no_residue", "found no 999999999 in chain A"),
        ("K99999999999999999999A", "A", "single", "bad_mutation", "expected a form such as D210A"),
    ],
)
def test_what_cannot_be_put_in_is_refused(mutation: str, chain: str, kind: str, reason: str, words: str) -> None:
    with pytest.raises(NotApplicable) as refused:
        mutant_of(effect(mutation, chain, kind), structure())
    assert refused.value.reason == reason
    assert words in refused.value.detail


def test_a_gap_inside_a_chain_has_no_coordinates() -> None:
    chains = {"A": ("protein", "MKKKM", "0:1 1:2 4:5")}
    for number, reason in ((3, "no_coordinates"), (0, "no_residue"), (6, "no_residue")):
        with pytest.raises(NotApplicable) as refused:
            mutant_of(effect(f"K{number}A"), structure(chains=chains))
        assert refused.value.reason == reason


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two stores, the table of entries and two tables of mutations, one good and one bad mutation in each."""
    write_structures([structure()], tmp_path / "0.h5")
    write_structures([structure("2syn"), structure("3syn")], tmp_path / "1.h5")
    entries = [sample_results.fill("entries", pdb_id=name, status="read") for name in ("1syn", "2syn", "3syn")]
    lost = {"status": "quarantined", "reason": "no_rna", "detail": "chains: A protein"}
    entries.append(sample_results.fill("entries", pdb_id="9bad", **lost))
    sample_results.put(tmp_path / "entries.parquet", "entries", entries)
    one = [effect("K52A"), effect("D52A"), effect("K52A", pdb_id="pdb_00002syn")]
    two = [effect("K52A", pdb_id="9bad"), effect("U4C", "R", "rna", "2syn"), effect("K52A", pdb_id="9abc")]
    for name, rows in (("one", one), ("two", two)):
        sample_results.put(tmp_path / f"{name}.parquet", "mutations", rows)
    return tmp_path


def apply(place: Path, names: list[str], stores: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    apply_mutations(
        [place / f"{name}.parquet" for name in names], stores=[place / name for name in stores],
        entries=place / "entries.parquet", out=place / "mutants.parquet", rejects=place / "rejects.parquet",
    )  # fmt: skip
    return read_table(place / "mutants.parquet", "mutants"), read_table(place / "rejects.parquet", "rejects")


def test_every_mutation_is_a_mutant_or_has_a_reason(place: Path) -> None:
    mutants, rejects = apply(place, ["one", "two"], ["0.h5", "1.h5"])
    assert mutants[["mutation_id", "pdb_id"]].to_numpy().tolist() == [
        ["some:1syn_A_K52A", "1syn"], ["some:2syn_R_U4C", "2syn"], ["some:pdb_00002syn_A_K52A", "2syn"],
    ]  # fmt: skip
    assert rejects[["source_row", "reason", "detail"]].to_numpy().tolist() == [
        ["1syn_A_D52A", "other_wild_type", "found K (any) with number 52 in chain A, expected D"],
        ["9abc_A_K52A", "entry_not_read", "9abc: not among the entries of this run"],
        ["9bad_A_K52A", "entry_not_read", "9bad: no_rna: chains: A protein"],
    ]
    assert set(rejects["reason"]) <= REASONS.keys()
    assert rejects["raw_text"].tolist() == rejects["source_row"].tolist()


def test_the_order_of_the_inputs_does_not_matter(place: Path) -> None:
    written = []
    for names, stores in ((["one", "two"], ["0.h5", "1.h5"]), (["two", "one"], ["1.h5", "0.h5"])):
        apply(place, names, stores)
        written.append([(place / f"{name}.parquet").read_bytes() for name in ("mutants", "rejects")])
    assert written[0] == written[1]


def test_a_run_without_mutations_has_no_mutants(place: Path) -> None:
    assert [len(table) for table in apply(place, [], ["0.h5", "1.h5"])] == [0, 0]


@pytest.mark.parametrize(
    "pdb_id", ["2zzm", "3dd2", "5voe", "2bx2"]
)  # insertion codes, modified residues, negative numbers
def test_every_residue_of_a_real_entry_is_found_by_its_number(real: Callable[[str], Structure], pdb_id: str) -> None:
    found = real(pdb_id)
    letters = LETTERS[found.arrays["residue_type"]].astype(str)
    numbers, codes = found.arrays["auth_number"], found.arrays["insertion_code"]
    for row, (number, code) in enumerate(zip(numbers, codes, strict=True)):
        index = int(found.arrays["chain"][row])
        kind = found.molecule_types[index]
        if kind == "dna" or letters[row] == {"protein": "X"}.get(kind, "N"):
            continue
        new = "A" if letters[row] != "A" else "G"
        mutation = f"{letters[row]}{number}{code.decode()}{new}"
        mutant = mutant_of(effect(mutation, found.chain_ids[index], pdb_id=pdb_id), found)
        place = int(found.arrays["polymer_index"][row])
        sequence = found.sequences[index]
        assert mutant["polymer_indices"] == str(place)
        assert mutant["mutant_sequence"] == sequence[:place] + new + sequence[place + 1 :]


SOURCES = {
    "mcsm_blind": ("mutation_list", "PEMPNI_MPR79.txt"),
    "mcsm_cv": ("mutation_list", "PEMPNI_MPR233.txt"),
    "deng": ("deng", "Deng_affinity_benchmark.xlsx"),
}


def test_the_mutation_sets_fit_their_structures(shared: Path, tmp_path: Path) -> None:
    wanted: set[str] = set()
    for source, (format, name) in SOURCES.items():
        table = shared / "data/labels/raw" / name
        receipt = tmp_path / f"{source}.json"
        said = {"source": source, "sha256": sha256_of_file(table), "bytes": table.stat().st_size, "status": "fetched"}
        receipt.write_text(json.dumps(said | {"version": "1", "url": "file:here", "detail": ""}))
        parse_mutations(
            table, format=format, ddg_sign="mut_minus_wt", source=source, receipt=receipt,
            mutations=tmp_path / f"{source}.parquet", rejects=tmp_path / "not_understood.parquet",
        )  # fmt: skip
        wanted |= set(read_table(tmp_path / f"{source}.parquet", "mutations")["pdb_id"])
    files = {name: list((shared / "data/structures").glob(f"{name}.*")) for name in sorted(wanted)}
    write_structures([read_structure(paths[0], name) for name, paths in files.items() if paths], tmp_path / "0.h5")
    sample_results.put(tmp_path / "entries.parquet", "entries", [])
    mutants, rejects = apply(tmp_path, list(SOURCES), ["0.h5"])
    assert mutants["source"].value_counts().to_dict() == {"mcsm_blind": 79, "mcsm_cv": 225, "deng": 264}
    assert set(mutants["molecule_type"]) == {"protein"}
    # one structure is that of a mutant; of seven entries no structure is at hand
    assert rejects.groupby(["source", "reason"]).size().to_dict() == {
        ("deng", "entry_not_read"): 19, ("deng", "mutant_in_structure"): 1, ("mcsm_cv", "entry_not_read"): 8,
    }  # fmt: skip
    lost = rejects[rejects["reason"] == "entry_not_read"]["detail"].str[:4]
    assert set(lost) == {name for name, paths in files.items() if not paths}
    (other,) = rejects[rejects["reason"] == "mutant_in_structure"].to_dict("records")
    assert other["raw_text"].startswith("4NKU_A,D 160A")
    assert "found A (ALA) with number 160 in chain A, expected D" in other["detail"]
