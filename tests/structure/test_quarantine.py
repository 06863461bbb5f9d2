"""Every reason code has a file that gets it, and what is refused is named; what only looks odd is read."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damage import Source, load

from copra.structure import coordinate_file, quarantine
from copra.structure.quarantine import MAX_HEAVY_ATOMS_PER_CELL, REASONS, Unreadable, check_crowding
from copra.structure.reader import read_structure
from copra.structure.residues import Structure

Reader = Callable[[str], Structure]
# reasons that the batch gives, not the reader: tests/structure/test_shard.py
OF_THE_BATCH = {"not_fetched", "no_protein", "no_rna"}


def pdb_atom(number: int, x: float, *, name: str = "CA", residue: str = "ALA", chain: str = "A") -> str:
    place = f"{x:8.3f}{12:8.3f}{13:8.3f}"
    return f"ATOM  {number:5d}  {name:<3} {residue:>3}{chain:>2}{number:4d}    {place}  1.00 10.00           C"


PDB = [pdb_atom(i, 3.8 * i) for i in range(1, 9)]


@pytest.fixture(scope="module")
def demo(root: Path) -> Source:
    """An intact mmCIF file: protein chain A, RNA chain R."""
    (path,) = (root / "resources" / "demo" / "archive" / "structures").rglob("0daa.cif.gz")
    return load(path)


def refused(path: Path, content: bytes | list[str]) -> Unreadable:
    path.write_bytes(content if isinstance(content, bytes) else "\n".join(content).encode() + b"\n")
    with pytest.raises(Unreadable) as told:
        read_structure(path, "x")
    assert str(told.value).startswith(f"{path}: ")
    return told.value


def changed(source: Source, field: str, value: str, atoms: slice = slice(None)) -> list[str]:
    lines = list(source.lines)
    for at in source.atoms[atoms]:
        lines[at] = source.changed(lines[at], field, value)
    return lines


FIRST_ATOMS = slice(100)  # of the protein
ONE_ATOM = slice(3, 4)
OTHER_CHAIN_IDS = ("A,B", "A B", "A:B", "../x", "é", "TOO_LONG")
NO_CIF_NUMBERS = ("nan", "inf", "1e6", "?", "1,5", "-1e300")
NO_PDB_NUMBERS = (
    "     nan", "        ", "  15.2x0", " 15.200 ", "15.2E+01", "  1 .200", "  15,200", "  -+.200"
)  # fmt: skip


def files(demo: Source) -> dict[str, list[tuple[str, bytes | list[str]]]]:
    """Reason -> endings and contents of files that get it."""
    text, whole = demo.text(), gzip.compress(demo.text(), 1)
    return {
        "not_gzip": [(".cif.gz", text), (".pdb.gz", b"")],
        "damaged_gzip": [(".cif.gz", data) for data in (whole[:-9], whole + b"more", whole[:10] + whole[40:])],
        "not_a_coordinate_file": [
            (".xyz", text), (".cif", text[: text.index(b"ATOM") + 500]), (".cif", whole), (".cif", b"\xff\xfed\0a\0"),
            (".cif", changed(demo, "number", "1x2x3")), (".pdb", [line[:40] for line in PDB]),
        ],
        "missing_columns": [(".cif", text.replace(b"_atom_site.auth_asym_id", b"_atom_site.asym"))],
        "no_atoms": [(".cif", b"data_x\n"), (".pdb", b""), (".pdb", b"REMARK 1\nEND\n")],
        "no_polymer": [(".pdb", [pdb_atom(i, 3.0 * i, name="O", residue="HOH") for i in range(1, 9)])],
        "bad_identifiers": [
            *((".cif", changed(demo, "chain", name, FIRST_ATOMS)) for name in OTHER_CHAIN_IDS),
            *((".cif", changed(demo, "atom", name, ONE_ATOM)) for name in ("ÄÖ", "CABCD", "CABCDEFGH")),
            *((".cif", changed(demo, "residue", name, FIRST_ATOMS)) for name in ("A,B", "SIXSIX", "Ä")),
            *((".cif", changed(demo, "label_chain", name, FIRST_ATOMS)) for name in ("A,B", "EIGHT888", "é")),
            (".cif", changed(replace(demo, lines=tuple(changed(demo, "label_seq", "?"))), "number", "?")),
            (".pdb", [pdb_atom(i, 3.8 * i, chain=" ") for i in range(1, 9)]),
        ],
        "bad_coordinates": [
            *((".cif", changed(demo, "x", number, ONE_ATOM)) for number in NO_CIF_NUMBERS),
            *((".pdb", [line.replace("  15.200", number) for line in PDB]) for number in NO_PDB_NUMBERS),
        ],
        "crowded_atoms": [(".pdb", [pdb_atom(i, 7.0) for i in range(1, 99)])],
    }  # fmt: skip


def test_each_reason_has_a_file_that_gets_it(demo: Source, tmp_path: Path) -> None:
    wanted = files(demo)
    for reason, cases in wanted.items():
        for number, (ending, content) in enumerate(cases):
            error = refused(tmp_path / f"{reason}_{number}{ending}", content)
            assert error.reason == reason, str(error)
    elsewhere = {"not_a_file", "too_large", "scattered_records"}  # the next tests
    assert wanted.keys() | elsewhere | OF_THE_BATCH == REASONS.keys()
    assert all(text and text[0].islower() for text in REASONS.values())


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.cif").mkdir()
    os.mkfifo(tmp_path / "pipe.cif")  # reading it would wait for ever
    for name in ("folder.cif", "pipe.cif", "absent.cif", "nul\0.cif", "x" * 300 + ".cif"):
        with pytest.raises(Unreadable) as told:
            read_structure(tmp_path / name, "x")
        assert told.value.reason == "not_a_file", name


def test_too_much_text_is_not_read(demo: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinate_file, "MAX_TEXT_BYTES", 50_000)
    assert len(demo.text()) > 50_000 > len(gzip.compress(demo.text()))
    assert refused(tmp_path / "a.cif", demo.text()).reason == "too_large"
    assert refused(tmp_path / "a.cif.gz", gzip.compress(demo.text())).reason == "too_large"


def test_an_alignment_too_large_for_the_memory_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_ALIGNMENT_CELLS", 99)
    seqres = "SEQRES   1 A   13  " + "ALA " * 13
    error = refused(tmp_path / "a.pdb", [seqres, *PDB])
    assert (error.reason, "104 pairs" in str(error)) == ("too_large", True)


def test_chains_in_too_many_pieces_are_not_joined(
    tmp_path: Path, demo: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_CHAIN_PIECES", 7)
    pieces = [pdb_atom(i, 3.8 * i, chain="AB"[i % 2]) for i in range(1, 9)]
    assert refused(tmp_path / "a.pdb", pieces).reason == "scattered_records"
    atoms = [demo.lines[at] for at in demo.atoms]
    mixed = [line for pair in zip(atoms[:20], atoms[:-21:-1], strict=True) for line in pair]
    text = [*demo.lines[: demo.atoms[0]], *mixed]
    assert refused(tmp_path / "a.cif", text).reason == "scattered_records"
    monkeypatch.setattr(quarantine, "MAX_PIECE_RESIDUES", 10)
    assert refused(tmp_path / "b.cif", list(demo.lines)).reason == "scattered_records"


def test_a_missing_coordinate_is_named_with_its_place_and_count(tmp_path: Path, demo: Source) -> None:
    error = refused(tmp_path / "a.cif", changed(demo, "y", "?", slice(7, 12)))
    first = demo.lines[demo.atoms[7]]
    residue, number, atom = (demo.value(first, field) for field in ("residue", "number", "atom"))
    assert f"5 of {len(demo.atoms)} atoms" in str(error)
    assert f"first chain A residue {residue} {number} atom {atom}" in str(error)
    in_pdb = refused(tmp_path / "a.pdb", [*PDB[:3], PDB[3].replace("  15.200", "        "), *PDB[4:]])
    assert "1 of 8 atoms" in str(in_pdb)
    assert "ALA A   4" in str(in_pdb)


def test_an_error_never_carries_the_file_with_it(tmp_path: Path, demo: Source) -> None:
    error = refused(tmp_path / "a.cif", changed(demo, "chain", "\x1b[31m" + "Z" * 100_000, slice(1)))
    told = str(error).removeprefix(f"{tmp_path / 'a.cif'}: ")
    assert told.isprintable()
    assert len(told) <= quarantine.DETAIL_LENGTH


def test_rows_of_a_table_may_stand_in_any_order(tmp_path: Path, demo: Source, rng: np.random.Generator) -> None:
    lines, of_rna = list(demo.lines), [at for at in demo.atoms if demo.value(demo.lines[at], "chain") == "R"]
    (tmp_path / "a.cif").write_bytes(demo.text())
    read = read_structure(tmp_path / "a.cif", "x")
    for at, line in zip(of_rna, [lines[i] for i in rng.permutation(of_rna)], strict=True):
        lines[at] = line
    (tmp_path / "b.cif").write_text("\n".join(lines))
    shuffled = read_structure(tmp_path / "b.cif", "x")
    assert shuffled.handled["reordered_chains"] == 1
    assert (shuffled.sequences, shuffled.sequence_origins) == (read.sequences, read.sequence_origins)
    for name in ("polymer_index", "residue_name", "backbone_xyz_angstrom", "auth_number"):
        np.testing.assert_array_equal(shuffled.arrays[name], read.arrays[name])


def test_damage_in_tables_that_are_not_used_harms_nothing(tmp_path: Path, demo: Source) -> None:
    conn = "loop_\n_struct_conn.id\n_struct_conn.conn_type_id\n_struct_conn.ptnr1_auth_seq_id\nx y not_a_number\n"
    (tmp_path / "a.cif").write_bytes(demo.text() + conn.encode())
    assert len(read_structure(tmp_path / "a.cif", "x").chain_ids) == 2


def test_two_copies_of_a_chain_in_one_place_are_read_and_twelve_are_crowded(rng: np.random.Generator) -> None:
    n_atoms = 20_000
    xyz = rng.random((n_atoms, 3)) * (n_atoms / 0.06) ** (1 / 3)  # protein has 0.06 heavy atoms in a cubic angstrom
    check_crowding(Path("x"), np.concatenate([xyz, xyz]))
    with pytest.raises(Unreadable, match=f"at most {MAX_HEAVY_ATOMS_PER_CELL} heavy atoms"):
        check_crowding(Path("x"), np.concatenate([xyz] * 12))


def test_no_real_entry_is_near_the_limits(real: Reader) -> None:
    """1m8w is the densest of the 608 real entries: two complexes share a part of the cell."""
    xyz = real("1m8w").arrays["atom_xyz_angstrom"]
    _, counts = np.unique(np.floor(xyz / quarantine.CROWDING_CELL_ANGSTROM), axis=0, return_counts=True)
    assert counts.max() < MAX_HEAVY_ATOMS_PER_CELL / 2
