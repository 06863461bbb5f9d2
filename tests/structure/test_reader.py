"""The reader on real entries, each with one of the traps of coordinate files, and against Biopython."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB import MMCIFParser, PDBParser

from copra.errors import InputError
from copra.structure.reader import read_structure
from copra.structure.residues import ATOM_ARRAYS, RESIDUE_ARRAYS, RESIDUE_TYPES, Structure, residue

Reader = Callable[[str], Structure]

MINIMAL = [
    "ATOM      1  N   MET A   5      11.000  12.000  13.000  1.00 10.00           N",
    "ATOM      2  CA AMET A   5      12.000  12.000  13.000  0.40 10.00           C",
    "ATOM      3  CA BMET A   5      12.500  12.000  13.000  0.60 10.00           C",
    "ATOM      4  C   MET A   5      13.000  12.000  13.000  0.00 10.00           C",
    "ATOM      5  O   MET A   5      13.000  13.000  13.000  1.00 10.00           O",
    "ATOM      6  H   MET A   5      11.000  11.000  13.000  1.00 10.00           H",
    "HETATM    7  O   HOH A   6      30.000  12.000  13.000  1.00 10.00           O",
    "ATOM      8  N   HSD A   7      14.000  12.000  13.000  1.00 10.00           N",
    "ATOM      9  CA AHSD A   7      15.000  12.000  13.000  0.50 10.00           C",
    "ATOM     10  CA BHSD A   7      15.500  12.000  13.000  0.50 10.00           C",
    "ATOM     11  P     A B  -1      20.000  12.000  13.000  1.00 10.00           P",
    "ATOM     12  C4*   A B  -1      21.000  12.000  13.000  1.00 10.00           C",
    "ATOM     13  C2*   A B  -1      21.500  12.000  13.000  1.00 10.00           C",
    "ATOM     14  O2*   A B  -1      21.700  12.000  13.000  1.00 10.00           O",
    "ATOM     15  C1*   A B  -1      22.000  12.000  13.000  1.00 10.00           C",
    "ATOM     16  N9    A B  -1      23.000  12.000  13.000  1.00 10.00           N",
    "ATOM     17  N1    A B  -1      24.000  12.000  13.000  1.00 10.00           N",
    "ATOM     18  P     U B   0A     25.000  12.000  13.000  1.00 10.00           P",
    "ATOM     19  N1    U B   0A     26.000  12.000  13.000  1.00 10.00           N",
    "END",
]


def write(folder: Path, lines: list[str], name: str = "toy.pdb") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_atoms_of_a_small_file_are_chosen_as_stated(tmp_path: Path) -> None:
    read = read_structure(write(tmp_path, MINIMAL), "toy")
    assert read.chain_ids == ("A", "B")
    assert read.molecule_types == ("protein", "rna")
    assert read.sequences == ("MH", "AU")
    assert read.sequence_origins == ("observed", "observed")
    assert read.handled == {
        "altloc": 2, "gaps": 1, "hydrogens": 1, "insertion_codes": 1, "missing_backbone_atoms": 4,
        "negative_numbers": 1, "observed_sequence": 2, "renamed_residues": 1, "reordered_chains": 1, "waters": 1,
        "zero_occupancy": 1,
    }  # fmt: skip
    # the higher occupancy, and the first letter among equals; no hydrogen, no water
    assert read.arrays["backbone_xyz_angstrom"][:2, 1, 0].tolist() == [12.5, 15.0]
    assert read.arrays["atom_name"].tolist()[:6] == [b"N", b"CA", b"C", b"O", b"N", b"CA"]
    assert read.arrays["atom_name"].tolist()[7] == b"C4'"
    # N9 of the purine and N1 of the pyrimidine
    assert read.arrays["backbone_xyz_angstrom"][2:, 3, 0].tolist() == [23.0, 26.0]
    assert read.arrays["backbone_mask"].tolist()[3] == [True, False, False, True]
    assert read.arrays["auth_number"].tolist() == [5, 7, -1, 0]
    assert read.arrays["insertion_code"].tolist() == [b"", b"", b"", b"A"]


def test_nucleotides_without_o2_in_an_old_file_are_dna(tmp_path: Path) -> None:
    lines = [line for line in MINIMAL if " O2* " not in line]
    read = read_structure(write(tmp_path, lines), "toy")
    assert read.molecule_types == ("protein", "dna")
    assert read.handled["deoxy_by_atoms"] == 1
    assert read.arrays["deoxy"].tolist() == [False, False, True, True]


def test_full_sequence_of_seqres_and_its_fall_back(tmp_path: Path) -> None:
    seqres = "SEQRES   1 A    5  GLY MET SER HIS GLY"
    lines = [line.replace("HSD", "HIS") for line in MINIMAL]
    read = read_structure(write(tmp_path, [seqres, *lines]), "toy")
    assert read.sequences[0] == "GMSHG"
    assert read.sequence_origins[0] == "seqres"
    assert read.arrays["polymer_index"][:2].tolist() == [1, 3]
    wrong = read_structure(write(tmp_path, [seqres.replace("MET", "TRP"), *lines]), "toy")
    assert wrong.sequences[0] == "MH"
    assert wrong.sequence_origins[0] == "observed"
    assert wrong.handled["alignment_failed"] == 1


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.cif.gz", b"no gzip", "expected gzip data"),
        ("a.pdb.gz", gzip.compress(b"ATOM\n" * 50, mtime=0)[:-12], "expected whole gzip data"),
        ("a.cif", b"data_x\nloop_\n_atom_site.id\n1 'open\n", "expected mmCIF"),
        ("a.pdb", b"REMARK nothing here\n", "expected"),
        ("a.xyz", b"", "expected a name ending"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=part) as error:
        read_structure(tmp_path / name, "a")
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("name", "kind", "protein", "nucleotide"),
    [
        ("MSE", "protein", "M", ""), ("PSU", "rna", "", "U"), ("5MC", "rna", "", "C"), ("H2U", "rna", "", "U"),
        ("DT", "dna", "", "U"), ("SEC", "protein", "C", ""), ("UNK", "protein", "", ""), ("I", "rna", "", ""),
        ("A2M", "rna", "", "A"), ("GTP", "", "", "G"), ("BRU", "dna", "", "U"), ("SEP", "protein", "S", ""),
    ],
)  # fmt: skip
def test_parents_of_residues(name: str, kind: str, protein: str, nucleotide: str) -> None:
    known = residue(name)
    assert (known.kind, known.protein_letter, known.nucleotide_letter) == (kind, protein, nucleotide)


REAL = {
    # id: molecule types, handled counts that must be there
    "1a4t": (("rna", "protein"), {"models": 19}),
    "1asy": (("rna", "rna", "protein", "protein"), {"modified": 16}),
    "2zzm": (("protein", "rna"), {}),
    "3adb": (("rna", "protein"), {"observed_sequence": 2}),
    "3o8c": (("protein", "rna", "protein"), {"observed_sequence": 3}),
    "3o3i": (("protein", "rna"), {"observed_sequence": 2}),
    "8joz": (None, {"microheterogeneity": 4}),
    "1aq4": (("protein",) * 3 + ("rna",) * 2, {"zero_occupancy": 25}),
    "6ozp": (("protein", "protein", "hybrid", "rna", "hybrid", "rna"), {"deoxy_in_hybrid": 2, "altloc": 13}),
    "1zbi": (("rna", "dna", "protein", "protein"), {}),
    "6vrd": (("protein", "rna", "rna"), {"unknown_residues": None, "modified": 20}),
    "1knz": (("rna",) * 4 + ("protein",) * 8, {}),
    "4nku": (("protein", "protein", "rna", "rna"), {"altloc": 5}),
    "1kog": (("rna", "protein"), {}),
    "1utd": (None, {}),
}


@pytest.mark.parametrize("pdb_id", REAL)
def test_real_entries(pdb_id: str, real: Reader) -> None:
    read = real(pdb_id)
    molecules, counts = REAL[pdb_id]
    assert molecules is None or read.molecule_types == molecules
    assert {name: read.handled.get(name) for name in counts} == counts
    for arrays, size in ((RESIDUE_ARRAYS, len(read.arrays["chain"])), (ATOM_ARRAYS, read.atom_offsets[-1])):
        for name, (kind, shape) in arrays.items():
            assert read.arrays[name].dtype == np.dtype(kind), name
            assert read.arrays[name].shape == (size, *shape), name
    assert np.all(np.diff(read.atom_offsets) > 0)
    assert not np.isin(read.arrays["residue_name"], [b"HOH"]).any()
    for i, sequence in enumerate(read.sequences):
        part = read.chain_residues(i)
        index = read.arrays["polymer_index"][part]
        assert np.all(np.diff(index) > 0)
        aligned = read.observed_sequence(i)
        assert len(aligned) == len(sequence)
        assert np.flatnonzero([letter != "-" for letter in aligned]).tolist() == index.tolist()
        assert all(seen in ("-", stated) for seen, stated in zip(aligned, sequence, strict=True))
        assert len(set(read.chain_ids)) == len(read.chain_ids)


def test_an_inserted_trna_number_keeps_the_order_of_the_file(real: Reader) -> None:
    read = real("3adb")
    codes = read.arrays["insertion_code"][read.chain_residues(0)]
    assert np.count_nonzero(codes != b"") == 19
    assert read.sequences[0].startswith("GGCCGCCGCCACCGGGGUGGUCCCCGGGCC")


@pytest.mark.parametrize("pdb_id", ["1asy", "6ozp", "1a4t", "2xd0", "4nku"])
def test_atoms_equal_biopython(pdb_id: str, real: Reader, shared: Path) -> None:
    """Same heavy polymer atoms at the same places as Biopython, which chooses conformers atom by atom."""
    read = real(pdb_id)
    (path,) = (shared / "data" / "structures").glob(f"{pdb_id}.*")
    parser = MMCIFParser(QUIET=True) if ".cif" in path.name else PDBParser(QUIET=True)
    with warnings.catch_warnings(), gzip.open(path, "rt") as handle:
        warnings.simplefilter("ignore")
        model = next(iter(parser.get_structure(pdb_id, handle)))
    without_alternatives = set()
    for i, chain in enumerate(read.chain_ids):
        part = read.chain_residues(i)
        for r in range(part.start, part.stop):
            name, number = read.arrays["residue_name"][r].decode(), int(read.arrays["auth_number"][r])
            code = read.arrays["insertion_code"][r].decode() or " "
            found = [x for x in model[chain] if x.id[1:] == (number, code) and x.get_resname().strip() == name]
            assert len(found) == 1, (chain, number, name)
            heavy = [a for a in found[0].get_unpacked_list() if a.element not in ("H", "D")]
            atoms = slice(read.atom_offsets[r], read.atom_offsets[r + 1])
            names = {a.get_name().replace("*", "'").replace("O1P", "OP1").replace("O2P", "OP2") for a in heavy}
            ours = [n.decode() for n in read.arrays["atom_name"][atoms]]
            assert len(set(ours)) == len(ours)
            if any(a.get_altloc() != " " for a in heavy):
                assert set(ours) <= names
                continue
            without_alternatives.add((chain, number, code))
            assert set(ours) == names
            expected = np.array([a.coord for a in heavy])
            np.testing.assert_allclose(read.arrays["atom_xyz_angstrom"][atoms], expected, atol=1e-4)
    assert len(without_alternatives) > 20


def test_molecule_and_sequence_agree_between_formats(real: Reader, tmp_path: Path, shared: Path) -> None:
    """The same entry written as PDB by gemmi reads as the same residues and sequences."""
    read = real("1qtq")
    model = gemmi.read_structure(str(shared / "data" / "structures" / "1qtq.cif.gz"))
    model.setup_entities()
    model.write_pdb(str(tmp_path / "1qtq.pdb"))
    again = read_structure(tmp_path / "1qtq.pdb", "1qtq")
    assert again.sequences == read.sequences
    assert again.molecule_types == read.molecule_types
    np.testing.assert_array_equal(again.arrays["polymer_index"], read.arrays["polymer_index"])
    np.testing.assert_allclose(again.arrays["atom_xyz_angstrom"], read.arrays["atom_xyz_angstrom"], atol=1e-3)


def test_residue_types_are_thirty() -> None:
    assert len(RESIDUE_TYPES) == 30
    assert RESIDUE_TYPES[21:26] == ("A", "C", "G", "U", "N")
