"""Another locale, and a folder whose name holds blanks, quotes and letters beyond ASCII."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from predict_world import demo_file
from sample_results import fill, put
from small_disk import families
from workflow_copy import DEMO, Project, copy_project, digests

ODD = "mein Ördner 'x' (1) ΔG"
# ASCII alone, Python's own remedy switched off; a comma as decimal point and 8-bit letters; an i without its dot
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN_1, TURKISH = "de_DE.ISO-8859-1", "tr_TR.UTF-8"


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a German and a Turkish locale for this machine."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("no localedef to make locales with")
    for name in (LATIN_1, TURKISH):
        language, _, charset = name.partition(".")
        words = ["localedef", "-i", language, "-f", charset, str(folder / name)]
        if subprocess.run(words, capture_output=True).returncode not in (0, 1):  # 1: warnings
            pytest.skip(f"the locale {name} cannot be made here")
    return folder


@pytest.fixture(params=["ascii", *(pytest.param(name, marks=pytest.mark.slow) for name in (LATIN_1, TURKISH))])
def foreign(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The environment variables of a foreign locale."""
    if request.param == "ascii":
        yield ASCII
    else:
        place = request.getfixturevalue("locales")
        yield {"LOCPATH": str(place), "LC_ALL": request.param, "LANG": request.param}


def copra(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb in a folder, under the environment's locale."""
    root = Path(__file__).resolve().parents[2]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    return subprocess.run(
        [sys.executable, "-m", "copra.cli", *words],
        cwd=folder, capture_output=True, env={**clean, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def prepare(folder: Path) -> tuple[str, ...]:
    """Inputs in a folder, and the words of a verb that reads them."""
    folder.mkdir()
    shutil.copy(demo_file("0daa"), folder / "0daa.cif.gz")
    row = fill("fetched", pdb_id="0daa", status="fetched", path="0daa.cif.gz")
    put(folder / "fetched.parquet", "fetched", [row])
    names = {"--store": "s.h5", "--entries": "e.parquet", "--chains": "c.parquet", "--contacts": "t.parquet"}
    flags = [word for pair in names.items() for word in pair]
    return ("read-structures", "fetched.parquet", "--contact-cutoff-angstrom", "5.0", *flags)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_store_has_the_same_bytes_under_any_locale_and_path(foreign: dict[str, str], tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain", tmp_path / ODD
    words = prepare(plain)
    assert copra(plain, *words).returncode == 0
    prepare(odd)
    done = copra(odd, *words, **foreign)
    assert done.returncode == 0, done.stderr
    assert tree(odd) == tree(plain)


def test_an_odd_path_is_read_or_what_to_set_is_said(foreign: dict[str, str], tmp_path: Path) -> None:
    """Only UTF-8 spells every path; libraries that expect it would look for other files."""
    (tmp_path / ODD).mkdir()
    words = families(tmp_path)
    shutil.copy(words[1], tmp_path / ODD / "folds.parquet")
    words = ("choose-family", f"{ODD}/folds.parquet", *map(str, words[2:]))
    done = copra(tmp_path, *words, **foreign)
    if foreign["LC_ALL"] == TURKISH:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert b"expected utf-8: `export PYTHONUTF8=1`" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "folds.parquet").exists()
        assert copra(tmp_path, *words, **foreign | {"PYTHONUTF8": "1"}).returncode == 0


def test_a_letter_that_the_terminal_lacks_stops_no_verb(foreign: dict[str, str], root: Path, tmp_path: Path) -> None:
    program = "import sys, copra.cli as c\nc.overview = lambda: 'dG \\u2013 \\u0394'\nsys.exit(c.main(['--help']))"
    environment = {**os.environ, "PYTHONPATH": str(root), **foreign}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in (b"dG \\u2013 \\u0394", "dG \u2013 \u0394".encode())


@pytest.mark.slow
def test_snakemake_in_an_encoding_without_our_letters_says_what_to_set(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    done = subprocess.run(
        project.command(*DEMO, "--dry-run"),
        cwd=project.folder, env={**project.environment(), **ASCII}, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "expected utf-8: `export PYTHONUTF8=1`, which ./run does by itself" in said
    assert "Traceback" not in said
    assert not (project.folder / "results").exists()


def test_run_sets_it(root: Path, tmp_path: Path) -> None:
    """The line of `run`, not its set-up: that takes minutes and is in tests/test_setup.py."""
    lines = (root / "run").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("export PYTHONUTF8=1") for line in lines[: lines.index("words() {")])


@pytest.mark.slow
def test_the_demo_has_the_same_bytes_in_an_odd_folder_under_another_locale(
    undisturbed: Project, locales: Path, root: Path, tmp_path: Path
) -> None:
    project = copy_project(root, tmp_path / ODD)
    foreign = {"LOCPATH": str(locales), "LC_ALL": LATIN_1, "LANG": LATIN_1, "PYTHONUTF8": "1"}
    done = subprocess.run(
        project.command(*DEMO, "--", "all"),
        cwd=project.folder, env={**project.environment(), **foreign}, capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert digests(project) == digests(undisturbed)
    for page in ("report/report.html", "table1/table1.html", "table2/table2.html"):
        place = Path("results/demo") / page
        assert (project.folder / place).read_bytes() == (undisturbed.folder / place).read_bytes(), page
