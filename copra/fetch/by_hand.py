"""What a run says last where files are absent that the user must bring."""

from __future__ import annotations

from pathlib import Path

from copra.config import Config
from copra.fetch.sources import absent_by_hand

SHOWN = 3


def files_to_bring(config: Config) -> str:
    """At most five lines: which files are not there, where each goes or lies by mistake, and what to do next."""
    absent = absent_by_hand(config)
    lines = [f"No job was started: {len(absent)} files are not here that you must bring"]
    for source, files in absent[:SHOWN]:
        found = _elsewhere(source.filename, files, config)
        lines.append(f"  {source.name}: {f'move {found} to' if found else 'put it at'} {files[0]}")
    more = f"{len(absent) - SHOWN} more; " if len(absent) > SHOWN else ""
    lines.append(
        f"  {more}`copra sources config.yaml` tells where each is had; to go on without one, set "
        "sources.NAME.required: false in a file given with --configfile"
    )
    return "\n".join(lines)


def _elsewhere(filename: str, files: list[Path], config: Config) -> Path | None:
    """A file of this name, in whatever case and with whatever ending added, where people put it by mistake."""
    by_hand = Path(config.paths.by_hand)
    folders = dict.fromkeys([Path(), by_hand.parent, by_hand, *_folders_in(by_hand), Path(config.paths.raw)])
    for folder in folders:
        for found in sorted(folder.iterdir()) if folder.is_dir() else []:
            if found.name.lower().startswith(filename.lower()) and found not in files and found.is_file():
                return found
    return None


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
