"""The heat map of a scan: every value in its place on the page and in the picture, whatever the order of the rows."""

from __future__ import annotations

import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from predicted import ABOUT, RESIDUES, scan_table

from copra.errors import InputError
from copra.predict import figures
from copra.predict.scan_page import (
    COLOURS_END_AT_PERCENTILE,
    LETTERS,
    SCAN_COLUMNS,
    ScanAbout,
    scan_blocks,
    write_scan_page,
)
from copra.predict.scan_picture import write_scan_picture


class Cells(HTMLParser):
    """The cells of the heat maps by row: (class, title, style, text)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: dict[int, list[list[str]]] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.script = ""
        self._row, self._open = -1, ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in found.items()]
        if tag == "tr":
            self._row = int(found.get("data-residue", -1))
        if tag == "td" and self._row >= 0:
            self.rows.setdefault(self._row, []).append(
                [found.get("class", ""), found.get("title", ""), found.get("style", ""), ""]
            )
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "td" and self._row >= 0:
            self.rows[self._row][-1][3] += data


def page(folder: Path, table: pd.DataFrame, about: ScanAbout = ABOUT) -> tuple[str, Cells]:
    write_scan_page(table, about, folder / "scan.html")
    text = (folder / "scan.html").read_text(encoding="utf-8")
    return text, Cells(text)


def test_each_value_stands_in_its_cell_without_a_script(tmp_path: Path) -> None:
    table = scan_table()
    _, cells = page(tmp_path, table)
    ordered = [("A", -3, "", "K"), ("A", 52, "", "W"), ("A", 52, "B", "R"), ("AA", 7, "", "X"), ("R", 5, "", "G")]
    limit = figures.colour_limit(table["ddg_kcal_mol"].tolist(), COLOURS_END_AT_PERCENTILE)
    values = table.set_index(["chain", "number", "insertion_code", "mutant"])["ddg_kcal_mol"].sort_index()
    for i, (chain, number, code, wild) in enumerate(ordered):
        letters = LETTERS["rna" if chain == "R" else "protein"]
        assert len(cells.rows[i]) == len(letters) + 1  # and the mean
        for letter, (kind, title, style, text) in zip(letters, cells.rows[i], strict=False):
            if letter == wild:
                assert (kind, text) == ("wild", letter)
                continue
            value = float(values[chain, number, code, letter])
            assert (kind, text) == ("value", figures.signed(value, 1))
            assert title == f"{chain}:{wild}{number}{code}{letter}  {figures.signed(value, 2)} kcal/mol"
            assert f"background:{figures.diverging(value, limit)};" in style
        mean = float(values.loc[chain, number, code].mean())
        assert cells.rows[i][-1][3] == figures.signed(mean, 2)


def test_page_and_picture_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    table = scan_table()
    texts, pictures = set(), set()
    for seed in (1, 2):
        shuffled = table.sample(frac=1, random_state=seed)
        texts.add(page(tmp_path, shuffled)[0])
        write_scan_picture(shuffled, ABOUT, tmp_path / "scan.png")
        pictures.add((tmp_path / "scan.png").read_bytes())
    assert len(texts) == len(pictures) == 1
    assert b"Software" not in next(iter(pictures))


def test_data_for_the_script_are_sorted_weakest_first(tmp_path: Path) -> None:
    table = scan_table()
    table.loc[3, "ddg_kcal_mol"] = math.nan
    text, _ = page(tmp_path, table)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))
    assert [residue["name"] for residue in data] == ["K-3", "W52", "R52B", "X7", "G5"]
    for residue in data:
        values = [float(v.replace("−", "-")) for _, v, _ in residue["substitutions"] if v != "–"]
        assert values == sorted(values, reverse=True)
    hole = data[2]["substitutions"]
    assert hole[-1] == [table.loc[3, "mutant"], "–", figures.MISSING]


def test_missing_values_and_letters_are_shown_as_such(tmp_path: Path) -> None:
    table = scan_table([("A", "protein", 1, "", "G")]).iloc[:3].copy()  # A, V, L
    table.loc[1, "ddg_kcal_mol"] = math.nan
    _, cells = page(tmp_path, table)
    kinds = [cell[0] for cell in cells.rows[0]]
    assert kinds == ["wild", "value", "none", "value", *["none"] * 16, "mean"]


def test_page_says_units_sign_and_warnings(tmp_path: Path) -> None:
    text, cells = page(tmp_path, scan_table())
    for words in ("dG(mutant) − dG(wild type)", "kcal/mol", "binds more weakly", "Far from training.",
                  "Substitutions of nucleotides are experimental.", "−9.50", "298.15 K"):  # fmt: skip
        assert words in text
    assert "random weights" not in text
    assert "experimental" not in page(tmp_path, scan_table(RESIDUES[:2]))[0]
    random = ScanAbout(**{**vars(ABOUT), "model": {"weights": "esm2 random:3"}})
    assert "random weights" in page(tmp_path, scan_table(), random)[0]
    assert not {name for _, name, _ in cells.attributes} & {"src", "srcset", "action", "onclick", "onload"}
    assert all(value.startswith("#") for _, name, value in cells.attributes if name == "href")


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = "</script><script>broken=1</script><b>"
    about = ScanAbout(hostile, hostile, hostile, -9.5, 298.15, hostile, (hostile,), {hostile: hostile})
    text, _ = page(tmp_path, scan_table([(hostile, "protein", 1, "", "G"), ("B", "protein", 1, "", "G")]), about)
    assert text.count("<script") == 2
    assert "<b>" not in re.sub(r"<li><b>", "", text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="ddg_kcal_mol"), "found no column ddg_kcal_mol"),
        (lambda t: t.iloc[:0], "found no row"),
        (lambda t: t.assign(molecule="dna"), "found the molecule 'dna'"),
        (lambda t: t.assign(mutant="B"), "expected letters of GAV"),
        (lambda t: t.assign(mutant=""), "expected letters of GAV"),
        (lambda t: t.assign(mutant="GA"), "expected letters of GAV"),
        (lambda t: t.assign(wild_type="Z"), "a wild type of them or X"),
        (lambda t: t.assign(mutant=t["wild_type"]), "its own mutant"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "found this substitution twice"),
        (
            lambda t: t.assign(wild_type=["A", *["G"] * (len(t) - 1)], mutant=["V", *t["mutant"][1:]]),
            "wild types A and G",
        ),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, change, message: str) -> None:
    table = scan_table([("A", "protein", 1, "", "G")])
    with pytest.raises(InputError, match=re.escape(message)):
        write_scan_page(change(table), ABOUT, tmp_path / "scan.html")
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_protein_then_rna() -> None:
    blocks = scan_blocks(scan_table())
    assert [(block.molecule, block.several_chains, len(block.rows)) for block in blocks] == [
        ("protein", True, 4), ("rna", False, 1)
    ]  # fmt: skip


def pixels(path: Path) -> np.ndarray:
    return (matplotlib.image.imread(io.BytesIO(path.read_bytes()))[:, :, :3] * 255).round().astype(int)


def test_picture_shows_the_colours_of_the_page(tmp_path: Path) -> None:
    table = scan_table([("A", "protein", n, "", "G") for n in range(1, 4)])
    table["ddg_kcal_mol"] = 0.0
    table.loc[table["number"] == 1, "ddg_kcal_mol"] = 2.0
    table.loc[table["number"] == 2, "ddg_kcal_mol"] = -2.0
    write_scan_picture(table, ABOUT, tmp_path / "scan.png")
    image = pixels(tmp_path / "scan.png")
    rows = {}
    for name, value in (("red", 2.0), ("blue", -2.0), ("grey", 0.0)):
        colour = figures.diverging(value, 2.0)
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        ys, xs = np.nonzero((np.abs(image - wanted) <= 1).all(axis=2))
        inside = xs < image.shape[1] * 0.7  # without the colour bar
        assert inside.sum() > 19 * 300, name
        rows[name] = np.median(ys[inside])
    assert rows["red"] < rows["blue"] < rows["grey"]  # residues 1, 2, 3 from above


def test_large_scans_stay_a_picture(tmp_path: Path) -> None:
    write_scan_picture(scan_table([("A", "protein", n, "", "G") for n in range(130)]), ABOUT, tmp_path / "scan.png")
    height, width, _ = pixels(tmp_path / "scan.png").shape
    assert width < 5000
    assert height < 3000


@pytest.mark.parametrize(("scale", "shown"), [(1.0, "+1.2"), (0.01, "+0.01")])
def test_small_effects_get_another_decimal(tmp_path: Path, scale: float, shown: str) -> None:
    rows = [("A", "protein", 5, "", "K", letter, 1.24 * scale) for letter in "AR"]
    _, cells = page(tmp_path, pd.DataFrame(rows, columns=list(SCAN_COLUMNS)))
    assert [text for kind, _, _, text in cells.rows[0] if kind == "value"] == [shown, shown]
