"""What a hurried user mistypes: words of ./run snakemake, configuration files, verbs; and files of another version."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sample_results
import torch
from wrong_things import MOST_LINES, cd_hit, program, told

from copra.cli import main
from copra.config_file import load_config
from copra.errors import ConfigError
from copra.files import sha256_of_text
from copra.train.loop import make_deterministic

# --- ./run snakemake: what snakemake itself answers with a traceback, or without the file's name ------------


@pytest.fixture(scope="module")
def start(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `run` whose environment is this Python, and a snakemake that only says its words."""
    folder = tmp_path_factory.mktemp("start")
    for name in ("run", "requirements.txt", "pyproject.toml"):
        (folder / name).write_bytes((root / name).read_bytes())
    (folder / "run").chmod(0o755)
    (folder / "Snakefile").touch()
    programs = folder / ".venv" / "bin"
    python = f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" "$@"\n'
    program(programs, "python", python)
    program(programs, "snakemake", '#!/bin/sh\necho "snakemake: $*"\n')
    (folder / ".venv" / "pyvenv.cfg").write_text("version = 3.11.0\n")
    parts = [(folder / name).read_bytes() for name in ("requirements.txt", "pyproject.toml", ".venv/pyvenv.cfg")]
    stamp = subprocess.run(["cksum"], input=b"".join(parts) + str(folder).encode(), capture_output=True, check=True)
    (folder / ".venv" / "setup.stamp").write_bytes(stamp.stdout)
    return folder


def run(start: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([start / "run", *words], cwd=cwd or start, capture_output=True, text=True)


def test_right_words_reach_snakemake(start: Path) -> None:
    (start / "right.yaml").write_text("seed: 7\n")
    words = ["--cores", "2", "--configfile", "right.yaml", "--config", "seed=8", "--", "all"]
    done = run(start, "snakemake", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"snakemake: {' '.join(words)}\n"


def test_snakemake_in_another_folder(start: Path, tmp_path: Path) -> None:
    done = run(start, "snakemake", "--cores", "2", "all", cwd=tmp_path)
    told(done, "run: no Snakefile", what="no Snakefile", where=str(tmp_path), then="type `cd ")


def test_an_absent_configuration_file(start: Path) -> None:
    done = run(start, "snakemake", "--configfile", "nowhere.yaml", "--", "all")
    told(done, "run: --configfile", what="no such file", where="nowhere.yaml", then="give the path")
    done = run(start, "full", "--configfile=nowhere.yaml")
    told(done, "run: --configfile", what="no such file", where="nowhere.yaml", then="give the path")


def test_a_target_that_configfile_swallowed(start: Path) -> None:
    (start / "right.yaml").write_text("seed: 7\n")
    done = run(start, "snakemake", "--cores", "1", "--configfile", "right.yaml", "all")
    told(done, "run: --configfile", what="takes every word", where="all", then="type `-- all`")


@pytest.mark.parametrize(
    ("text", "what"), [("split:\n\tfolds: 3\n", "line 2, column 1"), ("a: [1\n", "line 2"), ("- a\n", "expected keys")]
)
def test_a_configuration_file_that_is_no_yaml(start: Path, text: str, what: str) -> None:
    (start / "wrong.yaml").write_text(text)
    done = run(start, "snakemake", "--configfile", "wrong.yaml", "--", "all")
    told(done, "run: wrong.yaml", what=what, where="wrong.yaml", then="mend the file")


def test_a_key_on_the_command_line_that_lies_deeper(start: Path) -> None:
    done = run(start, "snakemake", "--config", "split.family=protein40", "--", "all")
    told(done, "run: --config", what="expected KEY=VALUE", where="split.family", then="a file of its own")


# --- configuration -------------------------------------------------------------------------------------------


def refusal(root: Path, folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_config(root / "config.yaml", path)
    said = str(refused.value)
    assert len(said.splitlines()) <= MOST_LINES
    return said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("split: {famly: protein70}", "split.famly: unknown key; found the value 'protein70'; did you mean 'family'?"),
        ("splitt: 3", "splitt: unknown key; found the value 3; did you mean 'split'?"),
        ("split: {family: protein71}", "split.family: 'protein71' is not in split.families; did you mean 'protein70'?"),
        ("device: cuda", "copra computes on the GPU that PyTorch sees; say `--resources gpu=1` to snakemake"),
        ("evaluate: {table1: [egn]}", "evaluate.table1: 'egn' is not in experiments; did you mean 'egnn'?"),
        ("experiments: {egnn: {laers: 3}}", "experiments.egnn.laers: unknown key; found the value 3; did you mean"),
        ("experiments: {mine: {model: egnnn}}", "experiments.mine.model: found 'egnnn'; did you mean 'egnn'?"),
        ("sources: {pdbind: {use: true}}", "sources.pdbind: the keys required, urls, filename are missing"),
        ("mutations: {table2: [mean]}", "mutations.table2: 'mean' is not in mutations.experiments; did you mean"),
        ("structures: {shards: many}", "structures.shards: found 'many'"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_found_and_expected(root: Path, tmp_path: Path, text: str, expected: str) -> None:
    said = refusal(root, tmp_path, text)
    assert expected in said
    assert f"(in {tmp_path / 'mine.yaml'})" in said
    assert "type the same command again" in said


def test_of_many_mistakes_three_are_told(root: Path, tmp_path: Path) -> None:
    text = "a: 1\nb: 2\nc: 3\nd: 4\nfetch: {retries: -1}\n"
    said = refusal(root, tmp_path, text)
    assert "and 2 more mistakes" in said
    assert "config.yaml has every key" in said


def test_a_part_is_not_taken_for_a_whole_configuration(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sources", str(root / "resources/demo/config.yaml")]) == 2
    said = capsys.readouterr().err
    assert "name the complete file first: config.yaml mine.yaml" in said
    assert len(said.splitlines()) <= MOST_LINES


# --- verbs -----------------------------------------------------------------------------------------------------


Verb = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def copra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Run a verb; its messages come back as those of a program."""

    def run_verb(*words: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        if path is not None:
            monkeypatch.setenv("PATH", f"{path}:/bin")
        capsys.readouterr()
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        return subprocess.CompletedProcess([], status, said.out, said.err)

    return run_verb


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A table of records."""
    path, protein = tmp_path / "records.parquet", sample_results.protein(0)
    row = sample_results.fill(
        "records", record_id="1a00:A:B", protein_sequences=protein, protein_sha256=sha256_of_text(protein)
    )
    sample_results.put(path, "records", [row])
    return path


def clustering(records: Path) -> tuple[object, ...]:
    out = records.with_name("clusters.parquet")
    return "cluster-proteins", records, "--identity", 0.7, "--threads", 1, "--clusters", out


def test_no_cd_hit(copra: Verb, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = copra(*clustering(records))
    told(done, "copra cluster-proteins", what="'cd-hit' is not on PATH", where="cd-hit", then="apt-get install cd-hit")


def test_another_cd_hit(copra: Verb, records: Path, tmp_path: Path) -> None:
    done = copra(*clustering(records), path=cd_hit(tmp_path / "bin", version="4.6"))
    told(
        done,
        "copra cluster-proteins",
        what="version 4.6, expected CD-HIT 4.8.1",
        where=str(tmp_path),
        then="install it",
    )


@pytest.mark.parametrize(("crash", "status"), [("kill -SEGV $$", "-11"), ("echo Fatal Error: x >&2; exit 1", "1")])
def test_a_cd_hit_that_crashes(copra: Verb, records: Path, tmp_path: Path, crash: str, status: str) -> None:
    then = f'[ "$1" = -h ] && exit 1; {crash}'
    done = copra(*clustering(records), path=cd_hit(tmp_path / "bin", then=then))
    told(
        done, "copra cluster-proteins", what=f"status {status}", where=str(tmp_path / "bin/cd-hit"), then="give the job"
    )


def test_a_table_of_an_older_version(copra: Verb, records: Path) -> None:
    pd.read_parquet(records).drop(columns=["label_grade"]).assign(label="x").to_parquet(records)
    done = copra(*clustering(records))
    message = told(
        done, "copra cluster-proteins", what="table 'records'", where=str(records), then="delete it and type"
    )
    assert "without label_grade and one with the unknown label" in message[0]


def test_a_package_of_another_version(copra: Verb, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"format": 0}))
    done = copra("predict", "x.cif", "--model", str(tmp_path), "--out", str(tmp_path / "x.csv"))
    told(done, "copra predict", what="format 0, expected 1", where=str(tmp_path), then="snakemake models")


def test_weights_of_another_model(copra: Verb, tmp_path: Path) -> None:
    fasta, weights = tmp_path / "mine.fasta", tmp_path / "esm2_t6_8M_UR50D.pt"
    fasta.write_text(">a\nMKTAYIAKQR\n")
    torch.save({"model": {"encoder.other.weight": torch.zeros(2)}}, weights)
    words = ["--family", "esm2", "--size", "8M", "--weights", str(weights), "--out", str(tmp_path / "mine.h5")]
    done = copra("embed", str(fasta), *words)
    told(done, "copra embed", what="checkpoint", where=str(weights), then="give the file of this one")


def test_a_gpu_that_a_job_was_given_and_pytorch_does_not_see(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode: None)
    for given, lines in (("", 0), ("2", 1)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        assert make_deterministic().type == "cpu"
        assert len(caplog.messages) == lines
    assert "the job was given GPU 2, but PyTorch" in caplog.text
    assert "look at nvidia-smi there" in caplog.text
