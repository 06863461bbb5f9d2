"""The table of sources: its rows, what the configuration overrides, and what a person must bring."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from copra.config import Config
from copra.config_file import parse_config
from copra.errors import ConfigError, InputError
from copra.fetch.receipts import Receipt, receipt_path, write_receipt
from copra.fetch.source_list import sources
from copra.fetch.sources import COLUMNS, check_shape, missing_by_hand, read_sources, resolve_source
from copra.tables import write_table


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Config:
    values = yaml.safe_load((root / "config.yaml").read_text())
    values["paths"] |= {"by_hand": str(tmp_path), "curation": str(root / "resources" / "curation")}
    return parse_config(values)


def test_the_table_of_sources(root: Path, config: Config) -> None:
    rows = read_sources(root / "resources" / "curation" / "sources.tsv")
    assert set(config.sources) <= set(rows)
    assert {model.weights for model in config.language_models.values() if ":" not in model.weights} <= set(rows)
    assert rows["pdb_structures"]["urls"].split() == config.fetch.structure_urls
    for name, row in rows.items():
        assert re.fullmatch(r"[0-9a-f]{64}|first_use", row["sha256"]), name
        for url in row["urls"].split():
            assert url.startswith(("https://", "file:{by_hand}/{filename}")), name
            assert (row["access"] == "by_hand") == url.startswith("file:"), name
        assert row["where_to_get"], name


def test_sources_are_resolved_and_overridden(config: Config, tmp_path: Path) -> None:
    source = resolve_source(config, "pdbbind_pn")
    assert source.urls == (f"file:{tmp_path}/INDEX_general_PN.2020R1.lst",)
    assert (source.format, source.kind, source.access, source.sha256) == ("pdbbind", "affinity", "by_hand", "first_use")
    values = config.model_dump()
    values["sources"]["pdbbind_pn"] |= {"urls": ["https://x/{filename}"], "filename": "f.lst", "version": "7"}
    source = resolve_source(parse_config(values), "pdbbind_pn")
    assert (source.urls, source.version, source.access) == (("https://x/f.lst",), "7", "open")
    with pytest.raises(ConfigError, match="nothing"):
        resolve_source(config, "nothing")


def test_what_is_missing_by_hand_is_told(config: Config, tmp_path: Path) -> None:
    texts = missing_by_hand(config)
    assert [re.findall(r"source '(\w+)'", text)[0] for text in texts] == ["pdbbind_pn", "pronab"]
    assert f"put it: {tmp_path}/ProNAB.csv" in texts[1]
    (tmp_path / "ProNAB.csv").write_text("x")
    assert len(missing_by_hand(config)) == 1


def test_a_bad_table_of_sources_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sources.tsv"
    head = "\t".join(COLUMNS)
    path.write_text(head + "\nx\t\tmagic" + "\t" * 12 + "\n")
    with pytest.raises(InputError, match=r"line 2: kind is 'magic'"):
        read_sources(path)
    path.write_text(head + "\nx\ty\n")
    with pytest.raises(InputError, match="line 2: expected 15 cells"):
        read_sources(path)


@pytest.mark.parametrize(("column", "value"), [("begins", "(a"), ("bytes", "2 kB"), ("redistribute", "maybe")])
def test_a_bad_cell_of_the_table_of_sources_is_named(column: str, value: str, tmp_path: Path) -> None:
    good = {"source": "x", "kind": "pairs", "access": "open", "redistribute": "no"}
    cells = [(good | {column: value}).get(name, "") for name in COLUMNS]
    (tmp_path / "sources.tsv").write_text("\t".join(COLUMNS) + "\n" + "\t".join(cells) + "\n")
    with pytest.raises(InputError, match=re.escape(f"line 2: {column} is '{value}'")):
        read_sources(tmp_path / "sources.tsv")


def changed(config: Config, name: str, **values: Any) -> Config:
    everything = config.model_dump()
    everything["sources"][name] |= values
    return parse_config(everything)


def test_the_search_ends_at_the_configured_date(config: Config) -> None:
    values = config.model_dump()
    values["fetch"]["released_until"] = "2021-12-31"
    source = resolve_source(parse_config(values), "pdb_entries")
    assert source.version == "released until 2021-12-31"
    assert "%22value%22%3A%222021-12-31%22" in source.urls[0]
    assert not {"{", "}"} & set(source.urls[0])


@pytest.mark.parametrize("filename", ["", ".", "..", "a/b", "a\\b", "../b", "a..b", "{id}", "x.receipt.json"])
def test_a_filename_that_is_none_is_refused_with_its_key(filename: str, config: Config) -> None:
    with pytest.raises(ConfigError, match=r"sources\.biolip2\.filename: found "):
        resolve_source(changed(config, "biolip2", filename=filename), "biolip2")


def check_shapes(root: Path, files: dict[str, list[Path]], others: list[Path]) -> None:
    """Every file has the shape of its own source and of no source of another kind, the others that of none."""
    rows = read_sources(root / "resources" / "curation" / "sources.tsv")
    for name, fitting in files.items():
        assert [check_shape(path, rows[name]["begins"]) for path in fitting] == [""] * len(fitting), name
        strange = [p for key, paths in files.items() if rows[key]["format"] != rows[name]["format"] for p in paths]
        # an entry list may be any table with a column pdb_id
        for path in [*strange, *others] if name != "pdb_entries" else []:
            assert check_shape(path, rows[name]["begins"]), f"{name} takes {path.name}"


def test_the_demo_files_have_the_shape_that_the_table_states(root: Path) -> None:
    archive = root / "resources" / "demo" / "archive"
    files = {
        "pdb_entries": "search/protein_rna_entries.json", "pdb_obsolete": "status/obsolete.dat",
        "biolip2": "biolip/BioLiP.txt.gz", "pdbbind_pn": "pdbbind/INDEX_general_PN.2020R1.lst",
        "prbabv2": "prbabv2/prbabv2.csv", "pronab": "pronab/pronab.csv", "mcsm_blind": "mcsm/mutations.txt",
    }  # fmt: skip
    check_shapes(root, {name: [archive / file] for name, file in files.items()}, [])


def test_the_real_files_have_the_shape_that_the_table_states(root: Path, shared: Path) -> None:
    labels = shared / "data" / "labels"
    files = {
        "pdb_entries": [shared / "data/MANIFEST.csv"],
        "biolip2": [shared / "data/formats/biolip2_example_row.tsv"],
        "pdbbind_pn": [labels / "raw/INDEX_general_PN.2020R1.lst"],
        "pdbbind_pn_2018": [labels / "raw/INDEX_general_PN.2018"],
        "prbabv2": [labels / "prbab2.csv"],
        "prdbv3": [labels / "prdbv3_affinity.csv"],
        "predprba": [labels / "predprba.csv"],
        "deng": [labels / "deng_mutations.csv"],
        "mcsm_blind": [labels / "raw/PEMPNI_MPR79.txt"],
        "mcsm_cv": [labels / "raw/PEMPNI_MPR233.txt"],
    }
    check_shapes(root, files, [labels / "pra310.csv", labels / "pdbbind_pn_2018.csv", labels / "pri30k_published.csv"])


def test_a_published_table_may_come_as_a_spreadsheet(root: Path, shared: Path) -> None:
    rows = read_sources(root / "resources" / "curation" / "sources.tsv")
    raw = shared / "data" / "labels" / "raw"
    for name in ("prbabv2", "prdbv3", "pronab", "predprba", "deng"):
        for file in ("PRDBv3_Supplementary_Tables.xlsx", "PredPRBA_Supplementary_Table.xls"):
            assert check_shape(raw / file, rows[name]["begins"]) == "", name
    for name in ("pdbbind_pn", "biolip2", "pdb_entries", "mcsm_blind"):
        assert check_shape(raw / "PRDBv3_Supplementary_Tables.xlsx", rows[name]["begins"]), name


def test_the_lists_that_a_person_may_give_have_the_shape_of_an_entry_list(root: Path, tmp_path: Path) -> None:
    begins = read_sources(root / "resources" / "curation" / "sources.tsv")["pdb_entries"]["begins"]
    good = ["1urn\n5e08\n", "# mine\n\npdb_00001urn  # a remark\n", "1urn", "x,pdb_id\n1,1urn\n", '{"result_set": [']
    for text in good:
        (tmp_path / "list").write_text(text)
        assert check_shape(tmp_path / "list", begins) == "", text
    for text in ["1hvo  NMR  1994  Kd=11uM\n", "code,name\n1urn,x\n", '{"status": 400}', "<html>"]:
        (tmp_path / "list").write_text(text)
        assert check_shape(tmp_path / "list", begins), text


def test_a_file_of_another_kind_is_told_with_what_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbfPDB,Kd\n")
    assert check_shape(path, "PDB,Kd") == ""
    assert check_shape(path, "") == ""
    told = check_shape(path, r"\d{4}\t")
    assert repr(r"\d{4}\t") in told
    assert "found 'PDB,Kd\\n'" in told
    path.write_bytes(gzip.compress(b"1urn\tA"))
    assert check_shape(path, r"\w{4}\t") == ""
    path.write_bytes(path.read_bytes()[:12])
    assert "cannot be read" in check_shape(path, r"\w{4}\t")
    path.write_bytes(b"PK\x03\x04rest of a checkpoint")
    assert check_shape(path, r"PK\x03\x04|\x80\x02\x8a") == ""
    path.write_bytes(b" " * (1 << 16) + b"late")
    assert check_shape(path, r"\s*late"), "only the start counts"


def listed(config: Config, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    """What `copra sources` prints of each source, by heading; every line fits 160 columns."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump()))
    sources([folder / "config.yaml"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 160
    rows = lines[: lines.index("")]
    starts = [(word.group(), word.start()) for word in re.finditer(r"\S+", rows[0])]
    at = next(i for i, (name, _) in enumerate(starts) if name == "bytes")
    starts[at] = ("bytes", rows[0].index("licence") + 34)  # a column of numbers: its heading stands at the right
    ends = [start for _, start in starts[1:]] + [160]
    return {
        row.split()[0]: {name: row[start:end].strip() for (name, start), end in zip(starts, ends, strict=True)}
        for row in rows[1:]
    }


def test_sources_are_printed_with_their_state(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = config.model_dump()
    values["paths"] |= {"raw": str(tmp_path / "raw"), "results": str(tmp_path / "results")}
    config = parse_config(values)
    for name, status, size in [("biolip2", "fetched", 6), ("prdbv3", "missing", 0), ("esm2_650M", "fetched", 7)]:
        path = tmp_path / "raw" / "sources" / name / resolve_source(config, name).filename
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * min(size, 6))
        receipt = Receipt(name, "", "", "", size, status, "", "2026-03-04T05:06:07Z")
        write_receipt(receipt, receipt_path(path))
    (tmp_path / "ProNAB.csv").write_text("x")
    (tmp_path / "raw" / "structures" / "ur").mkdir(parents=True)
    for name in ("1urn.cif.gz", "1urn.cif.gz.receipt.json", ".2ur3.cif.gz.tmp", "pdb_00001urz.pdb"):
        (tmp_path / "raw" / "structures" / "ur" / name).write_text("x")
    table = listed(config, tmp_path, capsys)
    assert table.keys() == {*config.sources, "pdb_structures"}
    assert table["biolip2"] == {
        "source": "biolip2", "kind": "pairs", "needed": "required", "access": "open", "pin": "first use",
        "redistribute": "no", "licence": "free for academic use", "bytes": "6", "retrieved": "2026-03-04",
        "state": "here",
    }  # fmt: skip
    assert {name: row["state"] for name, row in table.items()} == dict.fromkeys(config.sources, "not here") | {
        "biolip2": "here", "prdbv3": "could not be had", "esm2_650M": "changed since", "pronab": "not taken yet",
        "pdb_structures": "2 here",
    }  # fmt: skip
    assert (table["mcsm_blind"]["pin"], table["mcsm_blind"]["bytes"]) == ("f89759be", "1,478")
    assert table["pdbbind_pn"]["licence"] == "PDBbind terms for registered users"
    wanted = pd.DataFrame({"pdb_id": ["1urn", "2ur3"], "shard": 0, "replaces": ""})
    write_table(wanted, tmp_path / "results" / "entries" / "wanted.parquet", "wanted_entries")
    assert listed(config, tmp_path, capsys)["pdb_structures"]["state"] == "1 of 2 here"


def test_the_places_of_every_source_are_printed(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump()))
    sources([tmp_path / "config.yaml"])
    places = capsys.readouterr().out.partition("Where they come from")[2]
    assert f"file:{tmp_path}/ProNAB.csv" in places
    assert "register, download the index files" in places
    for url in (*resolve_source(config, "pdb_obsolete").urls, *config.fetch.structure_urls):
        assert f" {url}\n" in places
