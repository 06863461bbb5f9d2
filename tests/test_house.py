"""The rules of the house: what a reader may rely on in every file."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from copra.cli import STAGES

VERBS = {verb: module for stage in STAGES.values() for verb, (module, _) in stage.items()}
# rules that only name targets run nothing
TARGETS = {"all", "pri30k", "pra310", "embeddings", "pretraining", "models", "table2"}
# verbs that a person calls, not a rule
BY_HAND = {"diff", "embed", "models", "mutate", "predict", "scan", "sources", "trace", "write-demo"}
BINARY = {".gz", ".parquet", ".h5", ".png", ".safetensors"}


def house_files(root: Path) -> list[Path]:
    """Tracked files, and new ones that git does not ignore; every file where there is no git."""
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return sorted(root / name for name in listed.stdout.split("\0") if name and (root / name).is_file())


def tool(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment that runs these tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(words, cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True)


def rule_files(root: Path) -> list[Path]:
    files = [root / "Snakefile", *sorted((root / "workflow" / "rules").glob("*.smk"))]
    assert len(files) > 1
    return files


# --- tools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("snakefmt", "--check", "Snakefile", "workflow"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_tool_is_content(root: Path, words: tuple[str, ...]) -> None:
    result = tool(root, *words)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("configfile", ["config.yaml", "resources/demo/config.yaml"])
def test_snakemake_lint_is_content(root: Path, configfile: str) -> None:
    result = tool(root, "snakemake", "--lint", "--configfile", configfile)
    assert result.returncode == 0, result.stdout + result.stderr


# --- texts --------------------------------------------------------------------------------------------


def test_no_path_or_device_of_one_machine(root: Path) -> None:
    places = re.compile(r"(?<![\w.<>{}*-])/(?:work|root|opt|home/\w+)/|\bcuda:\d")
    found = []
    for path in house_files(root):
        if path.suffix in BINARY:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if places.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    assert found == []


def test_no_registry_in_lists_of_requirements(root: Path) -> None:
    lists = [root / "requirements.txt", root / "pyproject.toml", *(root / "envs").glob("*.yaml")]
    for path in lists:
        assert "://" not in path.read_text(), f"{path.name} names a host"


def test_functions_and_files_are_short(root: Path) -> None:
    long = []
    for path in sorted((root / "copra").rglob("*.py")):
        text = path.read_text()
        if text.count("\n") > 300:
            long.append(f"{path.relative_to(root)}: {text.count(chr(10))} lines, at most 300")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (lines := (node.end_lineno or 0) - node.lineno + 1) > 60:
                long.append(f"{path.relative_to(root)}: {node.name} has {lines} lines, at most 60")
    assert long == []


# --- workflow -----------------------------------------------------------------------------------------


def rules_of(path: Path) -> dict[str, str]:
    """Name and text of each rule of one file."""
    parts = re.split(r"^(?:rule|checkpoint) (\w+):\n", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_rules_hold_no_programs(root: Path) -> None:
    for path in rule_files(root):
        assert not re.search(r"^\s+(run|script|notebook):", path.read_text(), re.MULTILINE), path.name


def test_each_rule_calls_the_verb_of_its_name(root: Path) -> None:
    called = set()
    for path in rule_files(root):
        for name, text in rules_of(path).items():
            if name in TARGETS:
                assert "shell:" not in text, f"{name} is a target and runs nothing"
                continue
            verbs = re.findall(r"\bcopra ([a-z0-9-]+)", text.partition("shell:")[2])
            assert verbs == [name.replace("_", "-")], f"{path.name}: rule {name} calls {verbs}"
            called.update(verbs)
    assert called == VERBS.keys() - BY_HAND


def test_only_profiles_say_retries(root: Path) -> None:
    for path in rule_files(root):
        assert not re.search(r"^\s+retries:", path.read_text(), re.MULTILINE), path.name


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verb_is_a_documented_function(verb: str) -> None:
    function = getattr(importlib.import_module(VERBS[verb]), verb.replace("-", "_"))
    assert inspect.isfunction(function)
    assert inspect.getdoc(function)


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_profile_is_read_and_sets_existing_rules(root: Path, name: str) -> None:
    profile = yaml.safe_load((root / "profiles" / name / "profile.v9+.yaml").read_text())
    assert "cores" not in profile, "the number of cores is the user's to give"
    rules = {rule for path in rule_files(root) for rule in rules_of(path)}
    for path in rule_files(root):
        rules.update(re.findall(r"^use rule \w+ as (\w+)", path.read_text(), re.MULTILINE))
    assert profile.get("set-resources", {}).keys() <= rules
    if name == "default":
        slurm = yaml.safe_load((root / "profiles" / "slurm" / "profile.v9+.yaml").read_text())
        assert profile.keys().isdisjoint(slurm), "the default profile is read last and would win over --profile"


# --- README and catalogue -----------------------------------------------------------------------------


def floor_plan(root: Path) -> dict[str, str]:
    """Path and purpose of each line of the README's floor plan."""
    text = (root / "README.md").read_text()
    block = re.search(r"<!-- floor-plan -->\s*```\w*\n(.*?)```\s*<!-- /floor-plan -->", text, re.DOTALL)
    assert block, "README.md has no floor plan"
    lines = [line.strip() for line in block.group(1).splitlines() if line.strip()]
    for line in lines:
        assert re.fullmatch(r"\S+\s{2,}\S.*", line), f"not `path   purpose`: {line}"
    return {line.split()[0].rstrip("/"): line.split(maxsplit=1)[1] for line in lines}


def test_floor_plan_is_the_tree(root: Path) -> None:
    plan = floor_plan(root)
    made_by_runs = {"results", "resources/raw", "resources/by_hand"}
    missing = [name for name in plan if name not in made_by_runs and not (root / name).exists()]
    assert missing == [], "named in the floor plan but not there"
    files = [path.relative_to(root) for path in house_files(root)]
    top = {path.parts[0] for path in files if not path.parts[0].startswith(".")}
    rooms = {"/".join(path.parts[:2]) for path in files if path.parts[0] == "copra" and len(path.parts) > 2}
    named = {name.split("/")[0] for name in plan} | set(plan)
    assert sorted((top | rooms) - named) == [], "there but not in the floor plan"


def test_workflow_catalogue_conditions(root: Path) -> None:
    for name in ("README.md", "LICENSE", "Snakefile"):
        assert (root / name).stat().st_size > 0, f"{name} is empty"
    assert (root / "LICENSE").read_text().startswith("MIT License")
    usage = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"] == {"conda": True}
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert {"cff-version", "title", "message", "authors"} <= citation.keys()
