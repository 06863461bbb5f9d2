"""The viewer's script: pinned by its sha256, fetched once, and a page goes without it rather than with another."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import Archive, serving

from copra.errors import InputError
from copra.predict import viewer

SCRIPT, LICENCE = b"var viewer = 'stand-in';", b"Copyright somebody */ end\n"


def cached(folder: Path, name: str) -> Path:
    return folder / "cache" / "copra" / f"3dmol_{viewer.VERSION}_{Path(name).name}"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the two files, an empty cache folder, no program at hand and a mirror that is not there."""
    sums = {viewer.SCRIPT: hashlib.sha256(SCRIPT).hexdigest(), viewer.LICENCE: hashlib.sha256(LICENCE).hexdigest()}
    monkeypatch.setattr(viewer, "SHA256", sums)
    monkeypatch.setattr(viewer, "CDN", "http://127.0.0.1:9/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.delenv("COPRA_VIEWER", raising=False)


@pytest.fixture
def mirror(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    with serving() as archive:
        monkeypatch.setattr(viewer, "CDN", f"{archive.url}/package/")
        yield archive


def fill(archive: Archive, *faults: str) -> None:
    archive.put(f"/package/{viewer.SCRIPT}", SCRIPT, *faults)
    archive.put(f"/package/{viewer.LICENCE}", LICENCE)


def packed(members: dict[str, bytes | str]) -> bytes:
    """A package; a text as content makes a link to it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def give_npm(folder: Path, package: bytes, *, fails: bool = False) -> None:
    """A program `npm` that writes this package where it is called, and notes its words."""
    (folder / "programs").mkdir()
    (folder / "package.tgz").write_bytes(package)
    program = folder / "programs" / "npm"
    lines = ["#!/bin/sh", f'echo "$@" >> {folder}/words', "exit 1" if fails else f"/bin/cp {folder}/package.tgz x.tgz"]
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)


def whole_package() -> bytes:
    return packed({"package/x.js": b"no", f"package/{viewer.SCRIPT}": SCRIPT, f"package/{viewer.LICENCE}": LICENCE})


def assert_is_stand_in(text: str | None) -> None:
    assert text is not None
    head, _, body = text.partition("\n*/\n")
    assert body == SCRIPT.decode()
    assert head.startswith("/*!")
    assert "Copyright somebody * / end" in head


# --- ways to get it -----------------------------------------------------------------------------------


def test_mirror_gives_it_once(mirror: Archive, tmp_path: Path) -> None:
    fill(mirror)
    assert_is_stand_in(viewer.viewer_script())
    assert_is_stand_in(viewer.viewer_script())
    assert len(mirror.hits) == 2  # each file once
    assert cached(tmp_path, viewer.SCRIPT).read_bytes() == SCRIPT
    assert sorted(path.name for path in (tmp_path / "cache" / "copra").iterdir()) == sorted(
        cached(tmp_path, name).name for name in (viewer.SCRIPT, viewer.LICENCE)
    )


@pytest.mark.parametrize("fault", ["always wrong", "always gone", "always page", "always truncated", "always error"])
def test_what_a_mirror_gives_wrong_is_not_taken(mirror: Archive, tmp_path: Path, fault: str) -> None:
    fill(mirror, fault)
    assert viewer.viewer_script() is None
    assert not cached(tmp_path, viewer.SCRIPT).exists()


def test_npm_is_asked_after_the_mirror(stand_in: None, tmp_path: Path) -> None:
    give_npm(tmp_path, whole_package())
    assert_is_stand_in(viewer.viewer_script())
    assert (
        tmp_path / "words"
    ).read_text() == f"pack 3dmol@{viewer.VERSION} --ignore-scripts --fetch-retries=0 --silent\n"
    assert_is_stand_in(viewer.viewer_script())
    assert (tmp_path / "words").read_text().count("\n") == 1


@pytest.mark.parametrize(
    "members",
    [
        {},
        {f"package/{viewer.SCRIPT}": SCRIPT},
        {f"package/{viewer.SCRIPT}": SCRIPT + b" ", f"package/{viewer.LICENCE}": LICENCE},
        {f"package/{viewer.SCRIPT}": "../../secret", f"package/{viewer.LICENCE}": LICENCE},
        {f"../package/{viewer.SCRIPT}": SCRIPT, f"package/{viewer.LICENCE}": LICENCE},
    ],
    ids=["empty", "no_licence", "changed", "link", "outside"],
)
def test_other_packages_are_refused(stand_in: None, tmp_path: Path, members: dict[str, bytes | str]) -> None:
    give_npm(tmp_path, packed(members))
    assert viewer.viewer_script() is None


@pytest.mark.parametrize("package", [b"", b"no archive", whole_package()[:-40]], ids=["empty", "text", "cut"])
def test_broken_packages_are_refused(stand_in: None, tmp_path: Path, package: bytes) -> None:
    give_npm(tmp_path, package)
    assert viewer.viewer_script() is None


def test_a_package_that_swells_is_left(stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_npm(tmp_path, packed({"package/zeros": bytes(1 << 20)}) + b"")
    monkeypatch.setattr(viewer, "LARGEST_UNPACKED_BYTES", 1 << 19)
    assert viewer.viewer_script() is None


def test_npm_that_fails(stand_in: None, tmp_path: Path) -> None:
    give_npm(tmp_path, b"", fails=True)
    assert viewer.viewer_script() is None


# --- the cache folder ---------------------------------------------------------------------------------


def test_a_changed_file_of_the_cache_is_fetched_again(mirror: Archive, tmp_path: Path) -> None:
    fill(mirror)
    viewer.viewer_script()
    cached(tmp_path, viewer.SCRIPT).write_bytes(b"window.evil = 1")
    assert_is_stand_in(viewer.viewer_script())
    assert cached(tmp_path, viewer.SCRIPT).read_bytes() == SCRIPT


def test_a_changed_file_is_never_used(stand_in: None, tmp_path: Path) -> None:
    for name, data in ((viewer.SCRIPT, b"window.evil = 1"), (viewer.LICENCE, LICENCE)):
        cached(tmp_path, name).parent.mkdir(parents=True, exist_ok=True)
        cached(tmp_path, name).write_bytes(data)
    assert viewer.viewer_script() is None


def test_after_a_failure_it_waits_before_it_tries_again(mirror: Archive, tmp_path: Path) -> None:
    assert viewer.viewer_script() is None
    fill(mirror)
    n_hits = len(mirror.hits)
    assert viewer.viewer_script() is None
    assert len(mirror.hits) == n_hits
    (mark,) = (tmp_path / "cache" / "copra").glob("*not_had")
    before = time.time() - viewer.TRY_AGAIN_AFTER_S - 5
    os.utime(mark, (before, before))
    assert_is_stand_in(viewer.viewer_script())


def test_a_cache_that_cannot_be_written_costs_only_time(mirror: Archive, tmp_path: Path) -> None:
    fill(mirror)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert_is_stand_in(viewer.viewer_script())


# --- the user's wish ----------------------------------------------------------------------------------


def test_turned_off(mirror: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(mirror)
    monkeypatch.setenv("COPRA_VIEWER", "None")
    assert viewer.viewer_script() is None
    assert mirror.hits == []
    assert "turned off" in viewer.viewer_note()


def test_own_script_with_the_licence_of_its_package(
    mirror: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "package" / "build" / "my.js"
    own.parent.mkdir(parents=True)
    own.write_text("var own = 1;")
    (tmp_path / "package" / "LICENSE").write_text("words of its licence")
    monkeypatch.setenv("COPRA_VIEWER", str(own))
    text = viewer.viewer_script()
    assert text is not None
    assert text.endswith("var own = 1;")
    assert "words of its licence" in text
    assert f"3Dmol.js {viewer.VERSION}" not in text  # it is not the pinned one
    assert mirror.hits == []


def test_own_script_that_is_not_there(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPRA_VIEWER", "nowhere/3Dmol-min.js")
    with pytest.raises(InputError, match=r"COPRA_VIEWER: found nowhere/3Dmol-min\.js"):
        viewer.viewer_script()


def test_the_viewer_is_not_part_of_the_repository(root: Path) -> None:
    for path in (root / "copra").rglob("*.js*"):
        text = path.read_text()
        assert len(text) < 30_000, path
        assert "webpack" not in text, path
