"""The table of sources: its rows, what the configuration overrides, and what a person must bring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from copra.config import Config
from copra.config_file import parse_config
from copra.errors import ConfigError, InputError
from copra.fetch import missing_by_hand, resolve_source, sources
from copra.sources import COLUMNS, read_sources


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
        assert re.fullmatch(r"\d*", row["bytes"]), name
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
    assert [re.findall(r"source '(\w+)'", text)[0] for text in texts] == ["pdbbind_pn", "prbabv2", "pronab"]
    assert f"put it: {tmp_path}/PRBABv2.csv" in texts[1]
    (tmp_path / "PRBABv2.csv").write_text("x")
    assert len(missing_by_hand(config)) == 2


def test_a_bad_table_of_sources_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sources.tsv"
    head = "\t".join(COLUMNS)
    path.write_text(head + "\nx\t\tmagic" + "\t" * 10 + "\n")
    with pytest.raises(InputError, match=r"line 2: kind is 'magic'"):
        read_sources(path)
    path.write_text(head + "\nx\ty\n")
    with pytest.raises(InputError, match="line 2: expected 13 cells"):
        read_sources(path)


def test_sources_are_printed(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(root)
    sources([Path("config.yaml")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["source", "kind", "needed", "access", "licence", "state", "from"]
    assert any(line.startswith("biolip2 ") for line in lines)
