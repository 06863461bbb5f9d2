"""The fetch rules in a real run of snakemake against a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from archive_server import DIVIDED, Archive, serving
from workflow_copy import DEMO, Project, copy_project

TARGETS = ("results/demo/fetched/0.parquet", "results/demo/fetched/1.parquet")


def jobs(project: Project, *words: str, **fetch: object) -> str:
    """Run the fetch rooms with the overrides; returns what snakemake says. The run must succeed."""
    own = project.folder / "own.yaml"
    settings = yaml.safe_load(own.read_text())
    settings["fetch"] |= fetch
    own.write_text(yaml.safe_dump(settings))
    done = project.snakemake(*TARGETS, *DEMO, "own.yaml", *words)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.slow
def test_what_is_here_is_kept_when_the_way_of_fetching_changes(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path)
    entries = root / "resources" / "demo" / "archive" / "search" / "protein_rna_entries.json"
    with serving() as archive:
        archive.put_structures(root / "resources" / "demo" / "archive" / "structures")
        urls = [archive.put(f"/{name}.json", entries.read_bytes()) for name in ("first", "second")]
        own = {"sources": {"pdb_entries": {"urls": urls[:1]}}, "fetch": {"structure_urls": [archive.url + DIVIDED]}}
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
        # one entry of the demo's list is nowhere: the other 165 come
        jobs(project, requests_per_s=None, retries=0)
        receipt = tmp_path / "resources/raw/demo/sources/pdb_entries/pdb_entries.json.receipt.json"
        first, hits = json.loads(receipt.read_text()), len(archive.hits)
        assert hits > 150
        assert "Nothing to be done" in jobs(project, timeout_s=61, retries=1, parallel_downloads=3)
        # another mirror is another parameter: the job runs again and finds the file
        own = yaml.safe_load((tmp_path / "own.yaml").read_text())
        own["sources"]["pdb_entries"]["urls"] = [urls[1], urls[0]]
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
        assert "rule fetch_source" in jobs(project)
        assert json.loads(receipt.read_text()) == first
        assert fetched_again(archive, hits) == [], "only the entry that is nowhere is asked for"


def fetched_again(archive: Archive, hits: int) -> list[str]:
    """The paths that were asked for after so many requests and are there."""
    return [hit.path for hit in archive.hits[hits:] if hit.path in archive.files]
