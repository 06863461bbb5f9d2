"""RO-Crate 1.2: the files of a release, the run that made them, and what it was made from."""

from __future__ import annotations

from typing import Any

from copra.release.contents import ROWS, About, ReleasedFile
from copra.release.inputs import Input

CONFORMS_TO = "https://w3id.org/ro/crate/1.2"
METADATA, SUMS = "ro-crate-metadata.json", "SHA256SUMS"
RUN, SOFTWARE, CREATOR = "#run", "#copra", "#contributors"


def ro_crate(about: About, files: list[ReleasedFile], inputs: dict[str, Input]) -> dict[str, Any]:
    """The RO-Crate metadata of a release as JSON-LD; `files` are all its files but this one and the sums."""
    parts = [_file(file) for file in files]
    parts.append({"@id": SUMS, "@type": "File", "name": SUMS, "encodingFormat": "text/plain"})
    sources = [_source(inputs[name]) for name in sorted(inputs)]
    return {
        "@context": f"{CONFORMS_TO}/context",
        "@graph": [
            {
                "@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"},
                "conformsTo": {"@id": CONFORMS_TO},
            },
            {
                "@id": "./", "@type": "Dataset", "name": about.name, "description": about.description,
                "datePublished": about.date, "version": about.version, "creator": {"@id": CREATOR},
                "license": [{"@id": about.licence}, {"@id": "LICENCES.md"}], "keywords": list(about.keywords),
                "hasPart": [{"@id": part["@id"]} for part in parts], "mentions": {"@id": RUN},
            },
            *parts,
            *_run(about, files, sources),
            {"@id": CREATOR, "@type": "Organization", "name": about.creator},
            {"@id": about.licence, "@type": "CreativeWork", "name": "MIT License"},
            *sources,
        ],
    }  # fmt: skip


def _file(file: ReleasedFile) -> dict[str, Any]:
    entity = {
        "@id": file.path, "@type": "File", "name": file.path, "encodingFormat": file.media_type,
        "contentSize": str(file.n_bytes), "sha256": file.sha256,
    }  # fmt: skip
    folder, _, name = file.path.rpartition("/")
    if folder == "tables":
        entity["description"] = ROWS[name.partition(".")[0]]
    return entity


def _run(about: About, files: list[ReleasedFile], sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tables = [{"@id": file.path} for file in files if file.path.startswith(("tables/", "splits/"))]
    return [
        {
            "@id": RUN, "@type": "CreateAction", "name": "the run that made the tables",
            "description": f"copra {about.version} at commit {about.git_commit}, with the values of config.json",
            "instrument": {"@id": SOFTWARE}, "agent": {"@id": CREATOR},
            "object": [{"@id": "config.json"}, *({"@id": source["@id"]} for source in sources)],
            "result": tables,
        },
        {
            "@id": SOFTWARE, "@type": "SoftwareApplication", "name": "copra", "softwareVersion": about.version,
            "identifier": f"git commit {about.git_commit}", "license": {"@id": about.licence},
            "softwareRequirements": [f"{name} {version}" for name, version in about.versions],
        },
    ]  # fmt: skip


def _source(source: Input) -> dict[str, Any]:
    """A source is described, not part of the crate; what is not known is left out."""
    entity = {
        "@id": f"#source-{source.source}", "@type": "CreativeWork", "name": source.source, "version": source.version,
        "url": source.url, "sha256": source.sha256, "license": source.licence, "citation": source.citation,
        "description": source.where_to_get,
        "conditionsOfAccess": "may be redistributed" if source.redistribute == "yes" else "may not be redistributed",
        "creativeWorkStatus": source.status,
    }  # fmt: skip
    return {key: value for key, value in entity.items() if value}
