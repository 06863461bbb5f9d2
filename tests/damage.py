"""Ways to damage a coordinate file, each a function of an intact one and a random generator.

A damage returns the bytes of a file and the ending of its name. Most are what disks, networks, scripts and editors
do; some are what only a hostile hand would write.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

Damaged = tuple[bytes, str]
Rng = np.random.Generator
T = TypeVar("T")

# name -> tag of _atom_site, columns of PDB format
FIELDS: dict[str, tuple[str, tuple[int, int]]] = {
    "x": ("Cartn_x", (30, 38)), "y": ("Cartn_y", (38, 46)), "z": ("Cartn_z", (46, 54)),
    "occupancy": ("occupancy", (54, 60)), "element": ("type_symbol", (76, 78)), "atom": ("auth_atom_id", (12, 16)),
    "altloc": ("label_alt_id", (16, 17)), "residue": ("auth_comp_id", (17, 20)), "chain": ("auth_asym_id", (20, 22)),
    "number": ("auth_seq_id", (22, 26)), "insertion": ("pdbx_PDB_ins_code", (26, 27)),
    "serial": ("id", (6, 11)), "model": ("pdbx_PDB_model_num", (80, 80)), "label_seq": ("label_seq_id", (80, 80)),
    "label_chain": ("label_asym_id", (80, 80)),
}  # fmt: skip
ODD_NUMBERS = (
    "nan", "inf", "-inf", "1e300", "-99999999", "?", ".", "abc", "1.2.3", "12#45", "", "1e-300", "0x10", "1,5", "1e39",
    "123456789.123", "--1.000", "9999.999", "99999999999999999999", "-1", "0",
)  # fmt: skip
ODD_NAMES = (
    "", "?", ".", "A,B", "A B", "../..", "/", "\\", "A:B", "\t", "\x00", "\x07", "é", "漢字", "\u2028", "x" * 9,
    "Z" * 5000, "'", '"', "_loop", "#", ";", "data_", "HOH", "DA", "%s", "{0}", "\ud7ff", "-", "*", "nan",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """An intact file: its text by lines, and where its atoms and their values stand."""

    name: str
    ending: str  # ".cif" | ".pdb"
    lines: tuple[str, ...]
    atoms: tuple[int, ...]  # numbers of the lines
    tags: tuple[str, ...]  # of _atom_site, in the order of the columns

    def text(self) -> bytes:
        return "\n".join(self.lines).encode() + b"\n"

    def value(self, line: str, field: str) -> str:
        tag, columns = FIELDS[field]
        return line[slice(*columns)] if self.ending == ".pdb" else line.split()[self.tags.index(tag)]

    def changed(self, line: str, field: str, value: str, to_width: bool = True) -> str:
        """The line of an atom with another value; a PDB line keeps its columns where it is cut `to_width`."""
        tag, (first, last) = FIELDS[field]
        if self.ending == ".pdb":
            value = f"{value:>{last - first}}"
            return line[:first] + (value[: last - first] if to_width else value) + line[last:]
        words = line.split()
        words[self.tags.index(tag)] = (
            f'"{value}"' if not value.isascii() or set(value[:1]) <= set("'#_;") or " " in value else value
        )
        return " ".join(words)


def load(path: Path) -> Source:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = tuple(data.decode().splitlines())
    ending = ".cif" if ".cif" in path.name else ".pdb"
    atoms = tuple(i for i, line in enumerate(lines) if line.startswith(("ATOM ", "HETATM")))
    tags = tuple(line.split(".")[1].strip() for line in lines if line.startswith("_atom_site."))
    return Source(path.name.split(".")[0], ending, lines, atoms, tags)


def written(source: Source, text: bytes | Iterable[str], rng: Rng) -> Damaged:
    """The text as a file, half of the time gzipped."""
    data = text if isinstance(text, bytes) else "\n".join(text).encode("utf-8", errors="surrogatepass") + b"\n"
    return (gzip.compress(data, 1), f"{source.ending}.gz") if rng.random() < 0.5 else (data, source.ending)


def one_of(items: Sequence[T], rng: Rng) -> T:
    return items[int(rng.integers(len(items)))]


def some(items: Sequence[int], rng: Rng) -> list[int]:
    """One of the items, some, or all."""
    share = one_of((0, 0.01, 0.3, 1), rng)
    return sorted(rng.choice(items, max(1, int(share * len(items))), replace=False).tolist())


def with_values(source: Source, field: str, value: Callable[[str], str], rng: Rng) -> list[str]:
    lines, to_width = list(source.lines), bool(rng.random() < 0.7)
    for at in some(source.atoms, rng):
        lines[at] = source.changed(lines[at], field, value(lines[at]), to_width)
    return lines


# --- bytes --------------------------------------------------------------------------------------------


def cut_text(source: Source, rng: Rng) -> Damaged:
    text = source.text()
    return written(source, text[: rng.integers(len(text))], rng)


def cut_gzip(source: Source, rng: Rng) -> Damaged:
    data = gzip.compress(source.text(), 1)
    return data[: rng.integers(len(data))], f"{source.ending}.gz"


def _flipped(data: bytes, rng: Rng) -> bytes:
    letters = np.frombuffer(data, dtype=np.uint8).copy()
    at = rng.integers(len(letters), size=one_of((1, 10, 1000), rng))
    letters[at] ^= np.uint8(1) << rng.integers(8, size=len(at)).astype(np.uint8)
    return letters.tobytes()


def bit_flips_in_text(source: Source, rng: Rng) -> Damaged:
    return written(source, _flipped(source.text(), rng), rng)


def bit_flips_in_gzip(source: Source, rng: Rng) -> Damaged:
    return _flipped(gzip.compress(source.text(), 1), rng), f"{source.ending}.gz"


def random_bytes(source: Source, rng: Rng) -> Damaged:
    return written(source, rng.bytes(one_of((0, 1, 2, 100, 100_000), rng)), rng)


def wrong_gzip(source: Source, rng: Rng) -> Damaged:
    text, whole = source.text(), gzip.compress(source.text(), 1)
    choices = (
        (text, ".gz"), (whole, ""), (gzip.compress(whole), ".gz"), (whole + b"garbage", ".gz"),
        (whole + bytes(512), ".gz"), (whole + whole, ".gz"), (b"", ".gz"), (whole[:2], ".gz"), (text, ".bz2"),
        (b"PK\x03\x04" + whole, ".gz"), (text, ".pdb" if source.ending == ".cif" else ".cif"),
        (whole[:4] + b"\xff" * 6 + whole[10:], ".gz"),
    )  # fmt: skip
    data, ending = one_of(choices, rng)
    return data, ending if ending in (".pdb", ".cif") else source.ending + ending


@cache
def _bomb(letters: bytes) -> bytes:
    """600 MiB of text as gzip members of one MiB."""
    return gzip.compress(letters * (2**20 // len(letters))) * 600


def gzip_bomb(source: Source, rng: Rng) -> Damaged:
    return _bomb(one_of((b"\0", b"\n", b"REMARK 1"), rng)), f"{source.ending}.gz"


def other_encoding(source: Source, rng: Rng) -> Damaged:
    text = source.text().decode()
    codec = one_of(("utf-16", "utf-32", "utf-8-sig", "cp500", "utf-7"), rng)
    return written(source, text.encode(codec), rng)


def line_ends(source: Source, rng: Rng) -> Damaged:
    end = one_of((b"\r\n", b"\r", b"\n\n", b"\0", b"", b"\x0c", b" ", b"\n\r", b"\x85"), rng)
    return written(source, end.join(line.encode() for line in source.lines), rng)


def strange_letters(source: Source, rng: Rng) -> Damaged:
    letters = np.frombuffer(source.text(), dtype=np.uint8).copy()
    letters[rng.integers(len(letters), size=one_of((1, 30), rng))] = one_of((0, 9, 26, 34, 59, 128, 160, 255), rng)
    return written(source, letters.tobytes(), rng)


# --- lines --------------------------------------------------------------------------------------------


def deleted_lines(source: Source, rng: Rng) -> Damaged:
    gone = set(some(range(len(source.lines)), rng))
    return written(source, [line for i, line in enumerate(source.lines) if i not in gone], rng)


def doubled_lines(source: Source, rng: Rng) -> Damaged:
    twice = set(some(range(len(source.lines)), rng))
    return written(source, [x for i, line in enumerate(source.lines) for x in [line] * (1 + (i in twice))], rng)


def swapped_lines(source: Source, rng: Rng) -> Damaged:
    lines = list(source.lines)
    for a, b in rng.integers(len(lines), size=(one_of((1, 20), rng), 2)):
        lines[a], lines[b] = lines[b], lines[a]
    return written(source, lines, rng)


def shuffled_atoms(source: Source, rng: Rng) -> Damaged:
    lines, wanted = list(source.lines), some(source.atoms, rng)
    for at, line in zip(wanted, [lines[i] for i in rng.permutation(wanted)], strict=True):
        lines[at] = line
    return written(source, lines, rng)


def doubled_file(source: Source, rng: Rng) -> Damaged:
    return written(source, [*source.lines, *source.lines], rng)


def long_line(source: Source, rng: Rng) -> Damaged:
    lines, at = list(source.lines), one_of((*source.atoms, *range(40)), rng)
    place = int(rng.integers(len(lines[at]) + 1))
    lines[at] = lines[at][:place] + "9" * one_of((100, 10_000_000), rng) + lines[at][place:]
    return written(source, lines, rng)


def cut_lines(source: Source, rng: Rng) -> Damaged:
    lines, length = list(source.lines), int(rng.integers(1, 80))
    for at in some(source.atoms, rng):
        lines[at] = lines[at][:length]
    return written(source, lines, rng)


def shifted_lines(source: Source, rng: Rng) -> Damaged:
    lines, place = list(source.lines), int(rng.integers(80))
    for at in some(source.atoms, rng):
        gap = " " if rng.random() < 0.5 else ""
        lines[at] = lines[at][:place] + gap + lines[at][place + (not gap) :]
    return written(source, lines, rng)


BYTES_AND_LINES = (
    cut_text, cut_gzip, bit_flips_in_text, bit_flips_in_gzip, random_bytes, wrong_gzip, other_encoding, line_ends,
    strange_letters, deleted_lines, doubled_lines, swapped_lines, shuffled_atoms, doubled_file, long_line, cut_lines,
    shifted_lines,
)  # fmt: skip
