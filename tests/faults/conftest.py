"""The undisturbed run that the disturbed ones are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow_copy import Project, copy_project


@pytest.fixture(scope="package")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the tiny demo has run to its end."""
    project = copy_project(root, tmp_path_factory.mktemp("undisturbed") / "copra")
    project.demo("--", "all")
    return project
