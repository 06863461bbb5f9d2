"""Names that come from outside: of chains, files, sequences, sources and keys. They stay names, wherever they go."""

from __future__ import annotations

import csv
import html.parser
import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from predicted import ABOUT, scan_table
from sample_results import fill, put
from small_complex import cif, small_complex
from tiny_model import tiny_model
from workflow_copy import DEMO, copy_project

from copra.cli import main
from copra.config_file import load_config, parse_config
from copra.embed.fasta import read_fasta
from copra.errors import ConfigError, InputError, shown
from copra.evaluate.grids import Cell, Column, Grid, grid_as_markdown
from copra.fetch.receipts import Receipt, receipt_path, write_receipt
from copra.files import sha256_of_file
from copra.parse.biolip2 import parse_biolip2
from copra.parse.mutation_text import read_mutations
from copra.parse.reasons import NotUnderstood
from copra.predict.inputs import open_structure, structure_name
from copra.predict.package import TRAINING
from copra.predict.page import content_policy
from copra.predict.scan_page import write_scan_page
from copra.predict.scan_picture import write_scan_picture
from copra.predict.variants import read_variants
from copra.pri30k.pairs import case_safe_key, pair_of_key
from copra.release.card import _plain
from copra.split.families import _stated_folds
from copra.structure.quarantine import IDENTIFIER, Unreadable
from copra.structure.reader import read_structure
from copra.tables import read_table

ESCAPES = "\x1b]0;owned\x07\x1b[2J"
HOSTILE = (
    "../../x", "/etc/passwd", "..\\x", "a b", "a\tb", "a\nb", "a\rb", "A,B", "A:B", "'", '"', "`id`", "$(touch owned)",
    "; touch owned #", "| touch owned", "&", ">owned", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "{0}", "{{7*7}}", "%s", "\x00", ESCAPES, "\u202egnp", "é", "\udcff", "-rf", "--out=owned", "..", "", "=1+1", "NA",
)  # fmt: skip
ALLOWED = ("..", "-rf", "=1+1", "'", "#$!", "$^$", "*_*", "~", "%s", "NA", "+-.")  # as ids of chains


def one_line_without_commands(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)


# --- chains -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in (*ALLOWED, "", "\x00", "\udcff")])
def test_a_chain_id_that_no_table_can_hold_is_set_aside(name: str, root: Path, tmp_path: Path) -> None:
    structure = small_complex(root)
    structure[0]["A"].name = "ZZZZ"
    quoted = (
        f"\n;{name}\n;\n"
        if "\n" in name or ("'" in name and '"' in name)
        else f'"{name}"'
        if "'" in name
        else f"'{name}'"
    )
    path = tmp_path / "x.cif"
    path.write_text(cif(structure).replace(" ZZZZ ", f" {quoted} "), encoding="utf-8")
    for read in (lambda: read_structure(path, "x"), lambda: open_structure(path)):
        with pytest.raises(Unreadable) as error:
            read()
        assert error.value.reason in ("bad_identifiers", "not_a_coordinate_file")
        one_line_without_commands(str(error.value))
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ALLOWED)
def test_an_odd_chain_id_goes_through_files_tables_pages_and_pictures(name: str, root: Path, tmp_path: Path) -> None:
    assert IDENTIFIER.fullmatch(name)
    key = case_safe_key("1abc", name, "R")
    assert re.fullmatch(r"[A-Za-z0-9_%-]+", key)
    assert pair_of_key(key) == ("1abc", name, "R")
    structure = small_complex(root)
    structure[0]["A"].name = "ZZZZ"
    quoted = f'"{name}"'
    (tmp_path / "x.cif").write_text(cif(structure).replace(" ZZZZ ", f" {quoted} "))
    assert name in read_structure(tmp_path / "x.cif", "x").chain_ids
    table = scan_table([(name, "protein", 1, "", "G"), ("B", "protein", 2, "", "G")])
    write_scan_page(table, ABOUT, tmp_path / "x.html")
    write_scan_picture(table, ABOUT, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
    cells = grid_as_markdown(Grid("", [Column("chain")], [[Cell(name)]]))
    assert cells[2].replace("\\|", "").count("|") == 2


def test_chains_of_a_list_of_pairs_stay_text(tmp_path: Path) -> None:
    rows = []
    for name in (name for name in HOSTILE if not set(name) & set("\n\r\t") and name.strip() and name != "\udcff"):
        cells = ["1abc", name, "2.0", "BS01", "rna", name, "1", "N1 L2", *[""] * 12, "MKA"]
        rows.append("\t".join(cells))
    table = tmp_path / "BioLiP.txt"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_receipt(Receipt("b", "1", "", sha256_of_file(table), 1, "fetched", ""), receipt_path(table))
    parse_biolip2(
        table, source="b", receipt=receipt_path(table), pairs=tmp_path / "p.parquet", rejects=tmp_path / "r.parquet"
    )
    found = read_table(tmp_path / "p.parquet", "pairs")
    assert len(found) + len(read_table(tmp_path / "r.parquet", "rejects")) == len(rows)
    for row in found.itertuples():
        assert re.fullmatch(r"[A-Za-z0-9_%-]+", case_safe_key(row.pdb_id, row.protein_chain, row.rna_chain))


@pytest.mark.parametrize("text", [*HOSTILE, "A:K1A", "K1A; touch owned", "K1A\n--", "É1A", "K1A'", "K-A"])
def test_a_mutation_is_letters_and_numbers_or_refused(text: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read_mutations(text)
    assert refused.value.reason == "bad_mutation"


# --- pages and tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_stays_in_its_cell_of_markdown(name: str) -> None:
    lines = grid_as_markdown(Grid("", [Column("a"), Column("b")], [[Cell(name), Cell("x](javascript:alert(1))")]]))
    row = lines[2]
    assert not set(row) & set("\n\r\t")
    assert row.replace("\\|", "").count("|") == 3
    assert "<" not in row
    assert "\\](javascript" in row
    plain = str(_plain(name))  # of the data card
    assert not set(plain) & set("\n\r\t<")
    assert "|" not in plain.replace("\\|", "")


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        assert not any((value or "").startswith("javascript:") for _, value in attrs)


def test_no_name_is_markup_on_the_page_of_a_scan(tmp_path: Path) -> None:
    plain, hostile = Tags(), Tags()
    for name, reader in (("A", plain), ("<img src=x onerror=alert(1)>", hostile)):
        table = scan_table([(name, "protein", 1, "", "G"), ("B", "protein", 2, "", "G")])
        write_scan_page(table, ABOUT, tmp_path / "x.html")
        reader.feed((tmp_path / "x.html").read_text())
    assert plain.tags == hostile.tags
    assert "'none'" in content_policy([])


# --- files of `copra predict`, `mutate`, `embed` ------------------------------------------------------


FILES = (
    b"-x.cif", b"--out=owned.cif", b"a\nb.cif", b"it's \"quoted\".cif", b"$(touch owned).cif", b"`id`;x.cif",
    b"\xff\xfe.cif", ESCAPES.encode() + b".cif", b"{0}{x}%s.cif", b"<img src=x onerror=alert(1)>.cif",
    "ü 漢字.cif".encode(), b"\xe2\x80\xaegnp.cif",
)  # fmt: skip


def test_files_of_any_name_are_predicted_and_named_in_one_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPRA_VIEWER", "none")
    package = tiny_model(tmp_path / "p", protein_lm=None, rna_lm=None, n_members=1)
    told = {"record_id": "1abc:A:R", "protein_sequences": "MKA", "rna_sequences": "ACGU"}
    put(package / TRAINING, "training_set", [fill("training_set", **told, n_interface_residues=9)])
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    text = cif(small_complex(root)).encode()
    for name in FILES:
        Path(os.fsdecode(name)).write_bytes(text)
    names = [os.fsdecode(name) for name in FILES]
    bad = [f"absent{name}" for name in names]
    words = ["--model", str(package), "--out", "../x.csv", "--json", "../x.json", "--pages", "../pages"]
    assert main(["predict", *words, "--contributions", "none", "--", *names, *bad]) == 2
    told = capsys.readouterr()
    one_line_without_commands(told.out + told.err)
    failed = [line for line in told.err.splitlines() if line.startswith("copra predict: absent")]
    assert len(failed) == len(bad)
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["status"] for row in rows] == ["ok"] * len(names) + ["failed"] * len(bad)
    assert [row["file"] for row in rows] == [shown(name) for name in (*names, *bad)]
    assert [row["file"] for row in json.loads((tmp_path / "x.json").read_text())["predictions"]] == [
        shown(name) for name in (*names, *bad)
    ]
    pages = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert len(pages) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.+-]+\.html", name) and name == Path(name).name for name in pages)
    for page in (tmp_path / "pages").iterdir():
        assert "<img" not in page.read_text()
    assert sorted(os.listdir(b".")) == sorted(FILES), "nothing else was made"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "p", "pages", "x.csv", "x.json"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_name_becomes_a_name_of_plain_letters(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9+-][A-Za-z0-9_.+-]*", structure_name(Path("x", name.replace("/", "|") + ".cif")))


def test_variants_of_any_text_are_refused_one_by_one(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tiny_model(tmp_path / "p", protein_lm=None, rna_lm=None, n_members=1)
    (tmp_path / "x.cif").write_text(cif(small_complex(root)))
    texts = [*(name for name in HOSTILE if not name.startswith("-")), f"A:K{'9' * 5000}A", f"A:K{'9' * 20}A", "A:K٣A"]
    words = ["mutate", str(tmp_path / "x.cif"), "--model", str(package), "--out", str(tmp_path / "x.csv")]
    assert main([*words, "--mutations", *texts]) == 2
    told = capsys.readouterr()
    one_line_without_commands(told.out + told.err)
    assert told.err.count("copra mutate: ") == len(texts) + 1
    table = pd.read_csv(tmp_path / "x.csv", keep_default_na=False)
    assert table["variant"].tolist() == [shown(text) for text in texts]
    assert set(table["status"]) == {"failed"}
    for positions in ("1-999999999999", f"{'9' * 5000}", "1;touch owned", ESCAPES):
        words = ["scan", str(tmp_path / "x.cif"), "--model", str(package), "--chain", "A", "--positions", positions]
        assert main([*words, "--out", str(tmp_path / "scan")]) == 2
        told = capsys.readouterr()
        one_line_without_commands(told.out + told.err)
    assert not (tmp_path / "scan").exists()


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\x00", "a\u202e", "a\x07b"])
def test_a_sequence_whose_name_commands_the_terminal_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.fasta").write_text(f">good\nMK\n>{name}\nMK\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.fasta, line 3: expected a name of letters that can be printed") as error:
        read_fasta(tmp_path / "x.fasta", "esm2")
    one_line_without_commands(str(error.value))


def test_an_error_and_a_log_line_command_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "1abc" + ESCAPES, "--results", str(tmp_path / ESCAPES)]) == 2
    assert main([ESCAPES]) == 2
    told = capsys.readouterr()
    one_line_without_commands(told.err)
    assert "\\x1b" in told.err


LONG_CELL = "x" * 200_000


@pytest.mark.parametrize(
    "text", ["record_id\tfold\n1abc\t" + "9" * 30 + "\n", "record_id\tfold\n1abc\t٣\n", f"PDB\tfold\n{LONG_CELL}\t1\n"]
)
def test_folds_of_any_text_are_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "folds.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"folds\.tsv: "):
        _stated_folds(tmp_path / "folds.tsv")


def test_a_cell_without_end_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "v.tsv").write_text(f"variant\n{LONG_CELL}\n")
    with pytest.raises(InputError, match=r"v\.tsv: not a readable text file: field larger"):
        read_variants(tmp_path / "v.tsv")


# --- configuration ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system ['touch owned']", "seed: !!python/name:os.system", "a: &a [*a",
        "[" * 600, "seed: !!python/object/new:subprocess.Popen [[touch, owned]]", "__use_yte__: true",
    ],
)  # fmt: skip
def test_a_configuration_builds_nothing_and_runs_nothing(
    text: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(root / "config.yaml", tmp_path / "own.yaml")
    assert len(str(error.value)) < 2000
    assert [path.name for path in tmp_path.iterdir()] == ["own.yaml"]


def test_aliases_that_multiply_are_refused_in_few_words(root: Path, tmp_path: Path) -> None:
    lines = ["seed: &a0 [x, x]"] + [f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (tmp_path / "own.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="unknown key") as error:
        load_config(root / "config.yaml", tmp_path / "own.yaml")
    assert len(str(error.value)) < 100_000


@pytest.mark.parametrize("key", ["experiments", "sources", "language_models"])
def test_names_of_the_configuration_are_words(key: str, root: Path) -> None:
    values = yaml.safe_load((root / "config.yaml").read_text())
    first = next(iter(values[key].values()))
    for name in set(HOSTILE) - {"NA"}:
        with pytest.raises(ConfigError, match=r"\[key\]: ") as error:
            parse_config(values | {key: values[key] | {name: first}})
        assert len(str(error.value).splitlines()) <= 5


@pytest.mark.parametrize("place", ["a<b>", "a{b}", "a\nb", "-rf", ""])
def test_a_path_that_snakemake_would_read_otherwise_is_refused(place: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps({"paths": {"results": place}}))
    with pytest.raises(ConfigError, match=r"paths\.results: found"):
        load_config(root / "config.yaml", tmp_path / "own.json")


@pytest.mark.slow
def test_a_results_folder_of_any_name_reaches_no_shell(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / 'it\'s $(touch owned); `touch owned` "x" & ü')
    name = 're\'s $(touch owned); `touch owned` "x" & ü'
    own = {"paths": {"results": name, "raw": f"raw {name}"}, "evaluate": {"title": "'; touch owned; '{x}"}}
    (project.folder / "own.yaml").write_text(yaml.safe_dump(own))
    done = project.snakemake(f"{name}/entries/wanted.parquet", *DEMO, "own.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    assert (project.folder / name / "entries" / "wanted.parquet").is_file()
    assert list(tmp_path.rglob("owned")) == []
