from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from copra.files import sha256_of_file


@pytest.fixture
def graph(released: Path) -> dict[str, dict[str, Any]]:
    """The entities of the metadata by their ids."""
    entities = json.loads((released / "ro-crate-metadata.json").read_text())["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities), "an id stands for two entities"
    return found


def test_the_rocrate_package_reads_it_and_finds_every_file(released: Path) -> None:
    crate = ROCrate(released)
    assert crate.version == "1.2"
    listed = {entity.id for entity in crate.data_entities}
    there = {path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file()}
    assert listed == there - {"ro-crate-metadata.json"}
    for entity in crate.data_entities:
        assert entity.type == "File"
        assert entity["encodingFormat"]
        if entity.id != "SHA256SUMS":
            assert entity["sha256"] == sha256_of_file(released / entity.id)
            assert int(entity["contentSize"]) == (released / entity.id).stat().st_size


def test_the_root_has_what_the_specification_asks_for(graph: dict[str, dict[str, Any]]) -> None:
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    assert root["name"]
    assert root["description"]
    assert root["datePublished"] == "2024-07-01", "the cut-off of the data, as in the configuration"
    assert {"@id": "LICENCES.md"} in root["license"]


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for part in value for name in references(part)]
    return [value["@id"]] if isinstance(value, dict) else []


def test_every_reference_is_described(graph: dict[str, dict[str, Any]]) -> None:
    named = {name for entity in graph.values() for value in entity.values() for name in references(value)}
    assert named - graph.keys() == {"https://w3id.org/ro/crate/1.2"}


def test_the_run_names_software_configuration_and_sources(graph: dict[str, dict[str, Any]]) -> None:
    run, software = graph["#run"], graph["#copra"]
    assert run["@type"] == "CreateAction"
    assert run["instrument"] == {"@id": "#copra"}
    assert {"@id": "tables/records.parquet"} in run["result"]
    made_from = references(run["object"])
    assert made_from == [
        "config.json", "#source-biolip2", "#source-mcsm_blind", "#source-pdb_structures", "#source-prbabv2",
        "#source-prdbv3",
    ]  # fmt: skip
    assert len(graph["#source-prbabv2"]["sha256"]) == 64
    assert graph["#source-prbabv2"]["conditionsOfAccess"] == "may not be redistributed"
    assert software["softwareVersion"] == "0.1.0"
    assert software["identifier"] == "git commit abc123"
    assert "python 3.11" in software["softwareRequirements"]
