"""What a release is and what it holds: the words and sums that its metadata files share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from copra.files import sha256_of_file

MEDIA_TYPES = {
    ".parquet": "application/x-parquet", ".csv": "text/csv", ".tsv": "text/tab-separated-values",
    ".txt": "text/plain", ".md": "text/markdown", ".json": "application/json",
}  # fmt: skip
# what a row of each table is
ROWS = {
    "records": "One row per labelled complex with a structure: PRA310 as built here.",
    "labels": "One row per complex whose binding free energy was decided.",
    "candidates": "One row per complex that at least one measurement may describe.",
    "measurements": "One row per affinity value that a source states; of sources that may not be passed on only "
    "the facts that a record uses.",
    "mutations": "One row per mutation effect that a source states which may be passed on.",
    "decisions": "One row per judgement: what was decided on which subject, by which rule.",
    "funnel": "One row per step and reason: how many rows went in and out.",
    "label_noise": "One row per pair of sources, and one for all pairs: how far they disagree.",
    "pri30k": "One row per pre-training pair of a protein chain and an RNA chain.",
    "entries": "One row per PDB entry of a record or a pre-training pair.",
    "chains": "One row per chain of these entries.",
    "clusters": "One row per record: the cluster of related proteins that it belongs to.",
    "folds": "One row per record of the split that is trained and tested on.",
    "leakage": "One row per split family and tested fold: what train and test share.",
}


@dataclass(frozen=True)
class About:
    """What the metadata files say of the release as a whole."""

    name: str
    description: str
    version: str
    git_commit: str
    date: str  # YYYY-MM-DD
    versions: tuple[tuple[str, str], ...]  # of the software that the run was made with

    creator: str = "copra contributors"
    licence: str = "https://spdx.org/licenses/MIT"  # of what copra made; LICENCES.md tells those of the sources
    keywords: tuple[str, ...] = ("protein-RNA binding affinity", "protein-RNA complexes", "benchmark")

    @property
    def cite_as(self) -> str:
        """The release as a BibTeX entry."""
        return (
            f"@misc{{copra, author = {{{{{self.creator}}}}}, title = {{{self.name}}}, "
            f"note = {{version {self.version}, git commit {self.git_commit}}}}}"
        )


@dataclass(frozen=True)
class ReleasedFile:
    """One file of a release; `path` is relative to its folder."""

    path: str
    media_type: str
    n_bytes: int
    sha256: str


def files_of(folder: Path) -> list[ReleasedFile]:
    """The files below a folder, sorted by their paths."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        ReleasedFile(
            path.relative_to(folder).as_posix(), MEDIA_TYPES[path.suffix], path.stat().st_size, sha256_of_file(path)
        )
        for path in paths
    ]
