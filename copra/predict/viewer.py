"""The script of the 3-D viewer that a page carries: 3Dmol.js (BSD-3-Clause), one pinned version, known by its sha256.

It is not part of this repository. The two files of the published package that a page needs, the minified script and
its licence, are kept in the cache folder; where they are not there yet they are fetched once.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from pathlib import Path

import urllib3

from copra.bounded import read_bounded
from copra.errors import InputError
from copra.fetch.connections import Connections, RefusedRedirect

log = logging.getLogger(__name__)

PACKAGE, VERSION = "3dmol", "2.5.5"
SCRIPT, LICENCE = "build/3Dmol-min.js", "LICENSE"
SHA256 = {
    SCRIPT: "f7cc78921ae72e7623e89cdd111434f58c2efddd2ffda1cd212644b406fb8016",
    LICENCE: "4c6eaaed856f3f28a3b1a98e74f4a8a71618de7d51ea4155c29f6f793bcef861",
}
CDN = f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{VERSION}/"
VARIABLE = "COPRA_VIEWER"
NOTE = (
    f"The 3-D view needs 3Dmol.js {VERSION}, which could not be had when this page was made. Make the page again with "
    f"a connection to the internet or with npm at hand, or set {VARIABLE} to the path of a {Path(SCRIPT).name}. "
    "After a failure it is tried again ten minutes later."
)
OFF_NOTE = f"The 3-D view was turned off ({VARIABLE}=none) when this page was made."

LARGEST_FILE_BYTES = 4 << 20
LARGEST_PACKAGE_BYTES, LARGEST_UNPACKED_BYTES, MOST_MEMBERS = 64 << 20, 256 << 20, 5000
CONNECT_TIMEOUT_S, NPM_TIMEOUT_S = 8.0, 40.0
TRY_AGAIN_AFTER_S = 600.0  # so that many predictions without network wait once


class _NotHad(Exception):
    """One way did not give the files; the text says why."""


def viewer_note() -> str:
    """What a page without the viewer says in its place."""
    return OFF_NOTE if _turned_off() else NOTE


def viewer_script() -> str | None:
    """The viewer's script with its licence as a comment; None where it is turned off or cannot be had.

    The environment variable COPRA_VIEWER names a script that is taken as it is, or is "none". Else it is the pinned
    version from the cache folder, its sum checked each time, or fetched: from a public mirror of the package, or with
    npm. Raises InputError when COPRA_VIEWER names a file that cannot be read.
    """
    if _turned_off():
        return None
    if own := os.environ.get(VARIABLE):
        return _own_script(Path(own))
    folder = cache_folder()
    files = _cached(folder) or _fetched(folder)
    return _with_licence(files[SCRIPT], files[LICENCE]) if files else None


def cache_folder() -> Path:
    """Where the viewer is kept, beside the compiled kernels."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "copra"


def _turned_off() -> bool:
    return os.environ.get(VARIABLE, "").lower() == "none"


def _own_script(path: Path) -> str:
    """A script that the user names, with the licence that lies beside it or in the package's folder above."""
    try:
        script = path.read_bytes()
        beside = next((p for p in (path.parent / LICENCE, path.parent.parent / LICENCE) if p.is_file()), None)
        return _with_licence(script, beside.read_bytes() if beside else b"")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{VARIABLE}: found {path}, expected a readable script of 3Dmol.js ({error})") from error


def _with_licence(script: bytes, licence: bytes) -> str:
    name = f"3Dmol.js {VERSION}\n" if hashlib.sha256(script).hexdigest() == SHA256[SCRIPT] else ""
    words = licence.decode().replace("*/", "* /")
    return f"/*!\n{name}{words}\n*/\n{script.decode()}"


def _cached(folder: Path) -> dict[str, bytes] | None:
    files = {}
    for name, wanted in SHA256.items():
        path = _place(folder, name)
        if not path.is_file():
            return None
        files[name] = path.read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != wanted:
            log.warning("%s is not the file of %s %s and is fetched again", path, PACKAGE, VERSION)
            return None
    return files


def _place(folder: Path, name: str) -> Path:
    return folder / f"{PACKAGE}_{VERSION}_{Path(name).name}"


def _fetched(folder: Path) -> dict[str, bytes] | None:
    """The files by the first way that works, put into the cache folder; None when none does."""
    mark = folder / f"{PACKAGE}_{VERSION}_not_had"
    if mark.is_file() and 0 <= time.time() - mark.stat().st_mtime < TRY_AGAIN_AFTER_S:
        return None
    for way in (_from_mirror, _from_npm):
        try:
            files = way()
        except _NotHad as error:
            log.info("3-D viewer: %s", error)
            continue
        _keep(folder, {_place(folder, name): data for name, data in files.items()})
        return files
    log.warning("%s", NOTE)
    _keep(folder, {mark: b""})
    return None


def _keep(folder: Path, files: dict[Path, bytes]) -> None:
    """Write each file whole or not at all; where the folder cannot be written the next page fetches again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            for path, data in files.items():
                made = Path(own) / path.name
                made.write_bytes(data)
                made.replace(path)  # atomic, also for processes that fetch at the same time
    except OSError as error:
        log.info("3-D viewer: %s cannot be written: %s", folder, error)


def _checked(name: str, data: bytes) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        raise _NotHad(f"{name}: sha256 {found}, expected {SHA256[name]}")
    return data


def _from_mirror() -> dict[str, bytes]:
    connections = Connections(per_host=1, timeout_s=CONNECT_TIMEOUT_S)
    files = {}
    for name in SHA256:
        try:
            answer, _ = connections.get(CDN + name, {})
            if answer.status != 200:
                raise _NotHad(f"{CDN}{name}: status {answer.status}")
            data = answer.read(LARGEST_FILE_BYTES + 1)
            answer.close()
        except (urllib3.exceptions.HTTPError, OSError, RefusedRedirect) as error:
            raise _NotHad(f"{CDN}{name}: {error}") from error
        files[name] = _checked(name, data)
    return files


def _from_npm() -> dict[str, bytes]:
    npm = shutil.which("npm")
    if npm is None:
        raise _NotHad("npm is not here")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--fetch-retries=0", "--silent"]
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=NPM_TIMEOUT_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise _NotHad(f"npm: {error}") from error
        found = sorted(Path(folder).glob("*.tgz"))
        if len(found) != 1:
            raise _NotHad(f"npm brought {len(found)} packages, expected 1")
        return _unpacked(found[0])


def _unpacked(package: Path) -> dict[str, bytes]:
    """The wanted members of a package; nothing is written to disk, and a package that swells is left."""
    if package.stat().st_size > LARGEST_PACKAGE_BYTES:
        raise _NotHad(f"{package.name}: larger than {LARGEST_PACKAGE_BYTES} bytes")
    files: dict[str, bytes] = {}
    try:
        # unpacked first: tarfile takes names of members into memory, however long they say they are
        with tarfile.open(fileobj=io.BytesIO(read_bounded(package, LARGEST_UNPACKED_BYTES)), mode="r:") as archive:
            for n, member in enumerate(archive):
                if n >= MOST_MEMBERS:
                    raise _NotHad(f"{package.name}: more than {MOST_MEMBERS} files")
                name = member.name.removeprefix("package/")
                if name in SHA256 and member.isfile() and member.size <= LARGEST_FILE_BYTES:
                    data = archive.extractfile(member)
                    files[name] = _checked(name, data.read() if data else b"")
    except (tarfile.TarError, OSError, EOFError, zlib.error, InputError) as error:
        raise _NotHad(f"{package.name}: {error}") from error
    if missing := sorted(SHA256.keys() - files.keys()):
        raise _NotHad(f"{package.name} holds no {' and no '.join(missing)}")
    return files
