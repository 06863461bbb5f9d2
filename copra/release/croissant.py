"""Croissant 1.1: the tables of a release as record sets that a loader can read, with the meaning of every column.

The fields are read from the Parquet files, which know their types: in the CSV files an id such as 5e08 would be
taken for a number. The CSV files are listed beside them.
"""

from __future__ import annotations

from typing import Any

from copra.errors import InputError
from copra.release.contents import ROWS, About, ReleasedFile
from copra.release.inputs import Column
from copra.tables import TABLES

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
TYPES = {"string": "sc:Text", "int": "sc:Integer", "float": "sc:Float", "bool": "sc:Boolean"}
# (table, column) -> the column, a key of its table, that holds the same id; each is followed by a test
REFERENCES = {
    ("records", "record_id"): ("labels", "candidate_id"),
    ("records", "pdb_id"): ("entries", "pdb_id"),
    ("labels", "candidate_id"): ("candidates", "candidate_id"),
    ("clusters", "record_id"): ("records", "record_id"),
    ("folds", "record_id"): ("records", "record_id"),
    ("pri30k", "pdb_id"): ("entries", "pdb_id"),
    ("chains", "pdb_id"): ("entries", "pdb_id"),
}
# the terms of the format in JSON-LD, as its specification lists them
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "name": {"@container": "@language"}, "description": {"@container": "@language"},
} | {
    term: f"cr:{term}"
    for term in (
        "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
        "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
        "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
        "source", "subField", "transform",
    )
}  # fmt: skip


def croissant(
    about: About, files: list[ReleasedFile], tables: list[str], columns: dict[tuple[str, str], Column]
) -> dict[str, Any]:
    """The Croissant metadata of a release as JSON-LD.

    `tables` are the names of the released tables, `columns` what columns.tsv says of theirs. Raises InputError for
    a column that is not described.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": about.name,
        "description": about.description,
        "conformsTo": CONFORMS_TO,
        "version": about.version,
        "datePublished": about.date,
        "license": about.licence,
        "creator": {"@type": "sc:Organization", "name": about.creator},
        "citeAs": about.cite_as,
        "keywords": list(about.keywords),
        "distribution": [_file_object(file) for file in files],
        "recordSet": [_record_set(name, tables, columns) for name in tables],
    }


def _file_object(file: ReleasedFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject", "@id": file.path, "name": file.path.replace("/", "_"), "contentUrl": file.path,
        "contentSize": f"{file.n_bytes} B", "encodingFormat": file.media_type, "sha256": file.sha256,
    }  # fmt: skip


def _record_set(name: str, tables: list[str], columns: dict[tuple[str, str], Column]) -> dict[str, Any]:
    fields = []
    for column in TABLES[name].columns:
        title, kind = column.split()
        if (name, title) not in columns:
            raise InputError(f"columns.tsv: no line for the column {title} of the table {name}")
        field: dict[str, Any] = {
            "@type": "cr:Field", "@id": f"{name}/{title}", "name": title, "description": columns[name, title].text,
            "dataType": TYPES[kind.rstrip("?")],
            "source": {"fileObject": {"@id": f"tables/{name}.parquet"}, "extract": {"column": title}},
        }  # fmt: skip
        table, key = REFERENCES.get((name, title), ("", ""))
        if table in tables:
            # by file and column, not by field: of a reference to a field mlcroissant 1.1.1 makes a join with the
            # record set itself, which fails where that one was read before
            field["references"] = {
                "fileObject": {"@id": f"tables/{table}.parquet"},
                "extract": {"column": key},
            }
        fields.append(field)
    key_fields = [{"@id": f"{name}/{column}"} for column in TABLES[name].key]
    return {
        "@type": "cr:RecordSet", "@id": name, "name": name, "description": ROWS[name], "key": key_fields,
        "field": fields,
    }  # fmt: skip
