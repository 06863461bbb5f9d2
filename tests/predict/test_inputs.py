"""A person's file of any name and origin is read, or refused in one line that says what it is."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import gemmi
import numpy as np
import pytest
from small_complex import cif, pdb_lines, small_complex, written

from copra.errors import InputError
from copra.predict.confidence import PLDDT
from copra.predict.inputs import open_structure, structure_name


@pytest.fixture(scope="module")
def complex_(root: Path) -> gemmi.Structure:
    return small_complex(root)


def refused(path: Path, model: int | None = None) -> str:
    with pytest.raises(InputError) as told:
        open_structure(path, model)
    text = str(told.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "expected" in text
    assert "given" not in text  # the name of the copy
    return text


def only(structure: gemmi.Structure, chain: str) -> list[str]:
    return [line for line in pdb_lines(structure) if line[21:22] == chain]


@pytest.mark.parametrize("name", ["pose.cif", "pose.cif.gz", "pose", "pose.mmcif", "pose.pdb", "POSE (3).CIF.GZ"])
def test_mmcif_of_any_name(tmp_path: Path, complex_: gemmi.Structure, name: str) -> None:
    text = cif(complex_).encode()
    data = gzip.compress(text) if name.lower().endswith("gz") or name == "pose" else text
    path = written(tmp_path / name, data)
    structure, sha256, warnings = open_structure(path)
    assert structure.chain_ids == ("A", "R")
    assert structure.molecule_types == ("protein", "rna")
    assert sha256 == hashlib.sha256(data).hexdigest() == structure.file_sha256
    assert warnings == []
    assert structure.pdb_id == ("POSE_3" if " " in name else "pose")


@pytest.mark.parametrize("name", ["pose.pdb", "pose.ent", "pose.pdb.gz", "pose.cif", "model_1"])
def test_bare_atom_records_of_any_name(tmp_path: Path, complex_: gemmi.Structure, name: str) -> None:
    path = written(tmp_path / name, pdb_lines(complex_))
    structure, _, warnings = open_structure(path)
    assert structure.chain_ids == ("A", "R")
    assert warnings == []
    assert structure.sequence_origins == ("observed", "observed")


def test_byte_order_mark_and_line_ends(tmp_path: Path, complex_: gemmi.Structure) -> None:
    for i, text in enumerate((cif(complex_), "\n".join(pdb_lines(complex_)))):
        data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
        structure, sha256, warnings = open_structure(written(tmp_path / f"windows{i}", data))
        assert structure.chain_ids == ("A", "R")
        assert warnings == []
        assert sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("1urn.cif.gz", "1urn"), ("fold_a_model_0.pdb", "fold_a_model_0"), ("my pose: A,B.PDB", "my_pose_A_B"),
        ("pdb1urn.ent.gz", "pdb1urn"), (".cif", "structure"), ("..", "structure"), ("日本.pdb", "structure"),
        ("x" * 90 + ".cif", "x" * 40),
    ],
)  # fmt: skip
def test_structure_name_is_safe(name: str, safe: str) -> None:
    assert structure_name(Path(name)) == safe


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b" \n\n", "an empty file"),
        (b"Dear all,\nplease find the ATOM table attached\n", "a text that begins with 'Dear all, please find"),
        (b">1urn\nMKV\n", "FASTA sequences"),
        (b"<html><body>404</body></html>", "XML or HTML"),
        (b'{"data_1URN": {}}', "JSON"),
        (b"PK\x03\x04\0\0\0", "a zip archive"),
        (b"\x83\xa7version\xa50.3.0\xa7encoder\0\xaadataBlocks", "BinaryCIF"),
        (b"\x00\x01\x02\x03", "binary data"),
        (gzip.compress(b"", mtime=0), "nothing inside the gzip data"),
        (gzip.compress(b"no atoms here", mtime=0), "inside the gzip data"),
        (gzip.compress(b"data_x\n" * 5000, mtime=0)[:-20], "gzip"),
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (b"data_x\n_entry.id x\n", "_atom_site"),
        (b"HEADER    RNA\nREMARK   1\nEND\n", "atoms"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, found: str) -> None:
    assert found in refused(written(tmp_path / "file.pdb", content))


def test_nothing_there_and_folders(tmp_path: Path) -> None:
    assert "found nothing there" in refused(tmp_path / "none.cif")
    assert "found a folder" in refused(tmp_path)


def test_molecules_that_are_missing(tmp_path: Path, complex_: gemmi.Structure) -> None:
    protein, rna = only(complex_, "A"), only(complex_, "R")
    assert "no RNA; its chains are A (protein)" in refused(written(tmp_path / "protein.pdb", protein))
    assert "no protein; its chains are R (rna)" in refused(written(tmp_path / "rna.pdb", rna))
    no_o2 = [line for line in rna if line[12:16].strip() != "O2'"]
    dna = [line[:17] + {"U": " DT"}.get(line[19], f" D{line[19]}") + line[20:] for line in no_o2]
    assert "DNA only, no RNA; its chains are A (protein), R (dna)" in refused(
        written(tmp_path / "dna.pdb", [*protein, "TER", *dna])
    )


def models(complex_: gemmi.Structure, n_models: int) -> gemmi.Structure:
    many = complex_.clone()
    for i in range(1, n_models):
        model = complex_[0].clone()
        model.num = i + 1
        for chain in model:
            for residue in chain:
                for atom in residue:
                    atom.pos.z += 0.5 * i
        many.add_model(model)
    return many


@pytest.mark.parametrize("kind", ["cif", "pdb"])
def test_thirty_models(tmp_path: Path, complex_: gemmi.Structure, kind: str) -> None:
    many = models(complex_, 30)
    text = cif(many) if kind == "cif" else many.make_pdb_string(gemmi.PdbWriteOptions(minimal=True))
    path = written(tmp_path / f"ensemble.{kind}", text)
    assert "found 30 models, expected one, or --coordinates-model 1 to 30 to say which" in refused(path)
    first, sha256, warnings = open_structure(path, 1)
    assert warnings == ["the file holds 30 models; model 1 was taken"]
    last, sha256_of_last, warnings = open_structure(path, 30)
    assert warnings == ["the file holds 30 models; model 30 was taken"]
    assert sha256 == sha256_of_last == last.file_sha256
    assert last.n_models == first.n_models == 30
    moved = last.arrays["atom_xyz_angstrom"] - first.arrays["atom_xyz_angstrom"]
    assert np.allclose(moved, [0, 0, 14.5], atol=2e-3)
    assert last.chain_ids == first.chain_ids
    assert last.sequences == first.sequences
    for wrong in (0, -1, 31):
        assert f"expected a model from 1 to 30, found --coordinates-model {wrong}" in refused(path, wrong)


def test_atoms_without_chain_ids_are_parted(tmp_path: Path, complex_: gemmi.Structure) -> None:
    lines = pdb_lines(complex_)
    blank = [line[:21] + " " + line[22:] for line in lines]
    for name, text in (("with_ter", blank), ("without", [line for line in blank if line.startswith("ATOM")])):
        structure, _, (told,) = open_structure(written(tmp_path / name, text))
        assert structure.molecule_types == ("protein", "rna")
        assert structure.chain_ids == ("A", "B")
        assert told == "atoms without a usable chain id were given the chains A (protein), B (rna)"


def test_one_chain_of_both_molecules_is_parted(tmp_path: Path, complex_: gemmi.Structure) -> None:
    lines = [line[:21] + "X" + line[22:] for line in pdb_lines(complex_) if line.startswith("ATOM")]
    water = "HETATM 9999  O   HOH X 900       0.000   0.000   0.000  1.00  0.00           O"
    path = written(tmp_path / "pose.pdb", [*lines, water])
    structure, sha256, (told,) = open_structure(path)
    assert structure.molecule_types == ("protein", "rna")
    assert structure.chain_ids == ("X", "A")
    assert told.startswith("chain X holds protein and nucleic acid and was parted")
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_columns_of_pymol_mmcif(tmp_path: Path, complex_: gemmi.Structure) -> None:
    """Atom tables without the author's numbers, occupancies and elements."""
    document = complex_.make_mmcif_document()
    block = document.sole_block()
    loop = block.find_loop("_atom_site.id").get_loop()
    left_out = {"auth_seq_id", "occupancy", "type_symbol", "label_alt_id"}
    tags = [tag for tag in loop.tags if tag.partition(".")[2] not in left_out]
    columns = [[*block.find_values(tag)] for tag in tags]
    new = block.init_loop("_atom_site.", [tag.partition(".")[2] for tag in tags])
    new.set_all_values(columns)
    structure, _, (told,) = open_structure(written(tmp_path / "exported.cif", str(document.as_string())))
    assert structure.chain_ids == ("A", "R")
    assert "filled in" in told
    whole, _, _ = open_structure(written(tmp_path / "whole.cif", cif(complex_)))
    assert np.array_equal(structure.arrays["atom_xyz_angstrom"], whole.arrays["atom_xyz_angstrom"])
    assert np.array_equal(structure.arrays["atom_element"], whole.arrays["atom_element"])
    assert not np.any(structure.arrays["auth_number"] <= 0)


def with_b_factors(complex_: gemmi.Structure, scale: float, per_atom: float = 0) -> gemmi.Structure:
    out = complex_.clone()
    for chain in out[0]:
        for i, residue in enumerate(chain):
            for j, atom in enumerate(residue):
                atom.b_iso = scale * (40 + i % 50) + per_atom * j
    return out


@pytest.mark.parametrize(
    ("scale", "per_atom", "remark", "is_predicted"),
    [
        (1, 0, "", True),  # one value for each residue
        (0.01, 0, "REMARK   1 RoseTTAFold2NA\n", True),  # a scale of 0 to 1
        (1, 0.3, "TITLE     BOLTZ-2 MODEL\n", True),  # atoms differ, the file tells
        (1, 0.3, "", False),  # as refined ones do
        (0, 0, "", False),  # docked
        (5, 0, "", False),  # beyond 100
        (1, 0, "EXPDTA    X-RAY DIFFRACTION\n", False),
    ],
)
def test_predicted_structures_are_recognised(
    tmp_path: Path, complex_: gemmi.Structure, scale: float, per_atom: float, remark: str, is_predicted: bool
) -> None:
    lines = pdb_lines(with_b_factors(complex_, scale, per_atom))
    structure, _, warnings = open_structure(written(tmp_path / "x.pdb", remark + "\n".join(lines) + "\n"))
    assert (PLDDT in structure.arrays) is is_predicted
    assert (len(warnings) == 1 and "predicted structure" in warnings[0]) is is_predicted
    if is_predicted:
        plddt = structure.arrays[PLDDT]
        first, last = plddt[structure.chain_residues(0)][[0, 45]]
        assert len(plddt) == len(structure.arrays["chain"])
        assert last > first
        assert first == pytest.approx(40, abs=2.5)


def test_quality_metrics_of_mmcif_tell(tmp_path: Path, complex_: gemmi.Structure) -> None:
    document = with_b_factors(complex_, 1, 0.3).make_mmcif_document()
    block = document.sole_block()
    for category in ("_exptl.", "_refine."):
        block.find_mmcif_category(category).erase()
    assert PLDDT not in open_structure(written(tmp_path / "a.cif", str(document.as_string())))[0].arrays
    block.set_pair("_ma_qa_metric.name", "pLDDT")
    structure, _, warnings = open_structure(written(tmp_path / "b.cif", str(document.as_string())))
    assert PLDDT in structure.arrays
    assert "model quality metrics" in warnings[0]
