from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from copra.provenance import fingerprint as module

ONE = '''"""One."""
from copra.two import helper, LIMIT
import copra.three as three

def verb(x):
    """Do."""
    return inner(x) + LIMIT

def inner(x):
    return helper(x)

def other(x):
    return three.anything(x)
'''
TWO = "LIMIT = 3\nSCALE = 2\n\ndef helper(x):\n    return x * SCALE\n\ndef unused(x):\n    return x\n"
THREE = 'PAGE = "page.html"\n\ndef anything(x):\n    return x, PAGE\n'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Write a small package with edits; returns the fingerprints of its two verbs."""

    def write(**edits: str) -> dict[str, str]:
        folder = tmp_path / "copra"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = {"one": ONE, "two": TWO, "three": THREE, **{k: v for k, v in edits.items() if k != "page"}}
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        (folder / "page.html").write_text(edits.get("page", "<p>"))
        monkeypatch.setattr(module, "PACKAGE", folder)
        module._content.cache_clear()
        module._parse.cache_clear()
        return {name: module.fingerprint_of("copra.one", name) for name in ("verb", "other")}

    return write


def test_comments_docstrings_and_layout_do_not_count(package: Callable[..., dict[str, str]]) -> None:
    before = package()
    edited = ONE.replace('"""Do."""', '"""Do it."""\n').replace("def inner", "# why\ndef inner")
    assert package(one=edited, two=TWO.replace("x * SCALE", "(x  *  SCALE)")) == before


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ({"one": ONE.replace("inner(x) + LIMIT", "inner(x) - LIMIT")}, {"verb"}),
        ({"one": ONE.replace("return helper(x)", "return helper(-x)")}, {"verb"}),
        ({"two": TWO.replace("SCALE = 2", "SCALE = 5")}, {"verb"}),
        ({"two": TWO.replace("LIMIT = 3", "LIMIT = 4")}, {"verb"}),
        ({"two": TWO.replace("return x\n", "return 2 * x\n")}, set()),
        ({"three": THREE.replace("return x,", "return -x,")}, {"other"}),
        ({"page": "<div>"}, {"other"}),
        ({"two": TWO + "print(LIMIT)\n"}, {"verb"}),
    ],
)
def test_an_edit_changes_the_verbs_that_reach_it_and_no_other(
    package: Callable[..., dict[str, str]], edits: dict[str, str], changed: set[str]
) -> None:
    before = package()
    after = package(**edits)
    assert {name for name in before if before[name] != after[name]} == changed


def test_every_process_finds_the_same_fingerprint_of_every_verb(root: Path) -> None:
    """Python orders sets by a seed of its own in each process; a fingerprint may not depend on it."""
    code = (
        "from copra.cli import STAGES\n"
        "from copra.provenance.fingerprint import fingerprint\n"
        "print([fingerprint(verb) for stage in STAGES.values() for verb in stage])\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(found) == 1
