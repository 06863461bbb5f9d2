"""Files that are small where they lie and large where they are read, and members that want to be elsewhere."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openpyxl
import pytest
from small_complex import cif, small_complex

from copra import bounded
from copra.cli import main
from copra.embed import fasta
from copra.errors import InputError
from copra.parse import biolip2, cells, records
from copra.parse.cells import read_text
from copra.parse.records import read_sheets
from copra.predict import inputs, viewer
from copra.pri30k import pairs

MIB = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def bomb(start: bytes, n_mib: int, letter: bytes = b" ") -> bytes:
    """So many MiB of one letter behind a start, packed a thousand to one."""
    return gzip.compress(start) + gzip.compress(letter * MIB) * n_mib


@contextmanager
def memory_stays_below(n_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


def embed(path: Path) -> None:
    fasta.read_fasta(path, "esm2")


def biolip(path: Path) -> None:
    list(biolip2._lines(path))


READERS: dict[str, tuple[Callable[[Path], object], object, str, bytes]] = {
    "a table of text": (cells.read_text, cells, "MAX_TABLE_BYTES", b"pdb_id\n"),
    "records": (records.read_sheets, cells, "MAX_TABLE_BYTES", b"pdb_id\n"),
    "sequences": (embed, fasta, "MAX_TEXT_BYTES", b">a\nMK"),
    "a list of pairs": (pairs.read_pair_list, pairs, "MAX_TABLE_BYTES", b"pdb,prot_chain,rna_chain\n"),
    "a structure with a mark": (inputs.open_structure, inputs, "MAX_TEXT_BYTES", BYTE_ORDER_MARK + b"data_x\n"),
    "a line of BioLiP2": (biolip, biolip2, "MAX_LINE_LETTERS", b"1abc\tA"),
}


@pytest.mark.parametrize("kind", READERS)
def test_what_swells_is_left_at_its_bound(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, module, name, start = READERS[kind]
    monkeypatch.setattr(module, name, 4 * MIB)
    path = tmp_path / "small.gz"
    path.write_bytes(bomb(start, 64))
    assert path.stat().st_size < 64 * MIB / 900
    with memory_stays_below(20 * MIB), pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: expected")
    assert str(4 * MIB) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_real_bound_of_a_table_holds_memory(tmp_path: Path) -> None:
    path = tmp_path / "small.gz"
    path.write_bytes(bomb(b"pdb_id\n", 1024))
    with memory_stays_below(2 * bounded.MAX_TABLE_BYTES), pytest.raises(InputError, match="cut it to what is needed"):
        read_text(path)


@pytest.mark.slow
def test_the_real_bound_of_a_structure_holds_memory(tmp_path: Path) -> None:
    path = tmp_path / "small.cif.gz"
    path.write_bytes(bomb(BYTE_ORDER_MARK + b"data_x\n", 4096))
    with memory_stays_below(2 * bounded.MAX_TEXT_BYTES), pytest.raises(InputError, match=str(bounded.MAX_TEXT_BYTES)):
        inputs.open_structure(path)


def test_a_device_is_read_no_further_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MAX_TABLE_BYTES", MIB)
    with pytest.raises(InputError, match="/dev/zero: expected at most"):
        read_text(Path("/dev/zero"))


def test_a_cut_file_with_a_mark_is_damaged(root: Path, tmp_path: Path) -> None:
    whole = gzip.compress(BYTE_ORDER_MARK + cif(small_complex(root)).encode())
    (tmp_path / "x.cif.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="expected whole gzip data"):
        inputs.open_structure(tmp_path / "x.cif.gz")


def test_a_bomb_is_one_line_and_exit_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fasta, "MAX_TEXT_BYTES", 4 * MIB)
    (tmp_path / "x.fasta.gz").write_bytes(bomb(b">a\nMK\n", 64, b"\0"))
    words = ["--family", "esm2", "--size", "8M", "--weights", "random:0", "--out", str(tmp_path / "x.h5")]
    assert main(["embed", str(tmp_path / "x.fasta.gz"), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.fasta.gz"]


# --- workbooks ----------------------------------------------------------------------------------------


def book(path: Path, cell: str = "B2") -> Path:
    made = openpyxl.Workbook()
    made.active["A1"], made.active[cell] = "pdb_id", "1abc"
    made.save(path)
    return path


def changed(path: Path, member: str, content: bytes) -> Path:
    """The workbook with another content of one member."""
    with zipfile.ZipFile(path) as old:
        kept = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in (kept | {member: content}).items():
            new.writestr(name, data)
    return path


SHEET = "xl/worksheets/sheet1.xml"


def test_a_workbook_that_swells_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_TABLE_BYTES", 4 * MIB)
    path = changed(book(tmp_path / "x.xlsx"), SHEET, b" " * 16 * MIB)
    assert path.stat().st_size < 64 * 1024
    with memory_stays_below(MIB), pytest.raises(InputError, match=r"x\.xlsx: expected at most 4194304 bytes"):
        read_sheets(path)


def test_a_workbook_that_lies_of_its_sizes_is_read_no_further(tmp_path: Path) -> None:
    path = changed(book(tmp_path / "x.xlsx"), SHEET, b" " * (64 * MIB))
    told, said = (n.to_bytes(4, "little") for n in (64 * MIB, 1000))
    path.write_bytes(path.read_bytes().replace(told, said))
    with memory_stays_below(8 * MIB), pytest.raises(InputError, match=r"x\.xlsx: not a readable xlsx workbook"):
        read_sheets(path)


@pytest.mark.parametrize("cell", ["XFD1048576", "A1048576"])
def test_one_cell_in_a_far_corner_costs_nothing(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_CELLS", 100_000)
    with pytest.raises(InputError, match=r"x\.xlsx: expected at most 100000 cells"):
        read_sheets(book(tmp_path / "x.xlsx", cell))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("declared", ['<!ENTITY x "haha">', '<!ENTITY x SYSTEM "file:///etc/hostname">'])
def test_a_workbook_that_declares_entities_is_refused(declared: str, encoding: str, tmp_path: Path) -> None:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><!-- {"-" * 2 * MIB} --><!DOCTYPE x [{declared}]><worksheet '
        'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        '<c r="A1" t="inlineStr"><is><t>&x;</t></is></c></row></sheetData></worksheet>'
    ).replace("----", "-=-=")
    path = changed(book(tmp_path / "x.xlsx"), SHEET, text.encode(encoding))
    with pytest.raises(InputError, match=r"x\.xlsx: xl/worksheets/sheet1.xml declares a document type"):
        read_sheets(path)


def test_members_that_want_to_be_elsewhere_are_written_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "in" / "here" / "x.xlsx"
    path.parent.mkdir(parents=True)
    book(path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("../../evil", "/tmp/copra_evil", "..\\evil", "x\0y"):
            archive.writestr(name, b"evil")
    assert read_sheets(path)["Sheet"][0].cells[0] == "pdb_id"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["here", "in", "x.xlsx"]


def test_damaged_workbooks_are_read_or_refused_by_name(tmp_path: Path) -> None:
    whole = book(tmp_path / "x.xlsx").read_bytes()
    rng = random.Random(5)
    until = time.monotonic() + 20
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "x.xlsx").write_bytes(data[: rng.choice((len(data), rng.randrange(4, len(data))))])
        with contextlib.suppress(InputError):
            read_sheets(tmp_path / "x.xlsx")
        if time.monotonic() > until:
            break


# --- the viewer's package -----------------------------------------------------------------------------


def test_a_name_of_a_member_that_swells_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "LARGEST_UNPACKED_BYTES", 4 * MIB)
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 64 * MIB
    (tmp_path / "x.tgz").write_bytes(bomb(head.tobuf(tarfile.GNU_FORMAT), 65))
    with memory_stays_below(20 * MIB), pytest.raises(viewer._NotHad, match="expected at most 4194304 bytes"):
        viewer._unpacked(tmp_path / "x.tgz")


def test_members_of_a_package_are_written_nowhere(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, kind in (
            ("../../evil", tarfile.REGTYPE), ("/tmp/copra_evil", tarfile.REGTYPE),
            (f"package/{viewer.SCRIPT}", tarfile.SYMTYPE), (f"package/{viewer.LICENCE}", tarfile.CHRTYPE),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.tgz").write_bytes(buffer.getvalue())
    with pytest.raises(viewer._NotHad, match=r"x\.tgz holds no"):
        viewer._unpacked(tmp_path / "in" / "x.tgz")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "x.tgz"]
