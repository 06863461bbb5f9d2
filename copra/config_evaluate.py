"""The configuration of the results tables: which experiments stand in which table, and how they are judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from copra.config_base import Name, Settings


class ByFamily(Settings):
    """Experiments that are trained and tested on other split families too."""

    families: list[Name]
    experiments: list[Name]


class Evaluate(Settings):
    """Which experiments stand in which table, and how they are judged."""

    table1: Annotated[list[Name], Field(min_length=1)]
    table3: list[Name]
    table4: list[Name]
    figure3: list[Name]
    controls: list[Name]  # experiments that are trained once more on labels dealt anew, as <name>_shuffled
    by_family: ByFamily
    compare_with: list[Name]  # experiments of table1 whose paired difference from every other is told
    seeds: Annotated[list[int], Field(min_length=1)]
    control_seeds: Annotated[list[int], Field(min_length=1)]  # each deals the labels of the controls anew
    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    coverages: list[Annotated[float, Field(gt=0.5, lt=1)]]  # of the split-conformal intervals
    compare_with_paper: bool  # show the paper's numbers beside ours: of use where both are of the same complexes
    title: str
    notice: str
    noise_ceiling_pcc: Annotated[float, Field(gt=0, le=1)] | None

    def tables(self) -> dict[str, list[str]]:
        """The tables that have experiments, in order: name -> experiments."""
        named = {name: list(getattr(self, name)) for name in ("table1", "table3", "table4", "figure3")}
        named["controls"] = [control_name(name) for name in self.controls]
        return {name: experiments for name, experiments in named.items() if experiments}

    def seeds_of(self, table: str) -> list[int]:
        """The seeds of the experiments of a table."""
        return self.control_seeds if table == "controls" else self.seeds

    def of_table(self, table: str) -> Evaluate:
        """These settings with the seeds of one table."""
        return self.model_copy(update={"seeds": self.seeds_of(table)})

    def experiments(self) -> list[str]:
        """Every experiment of every table and of by_family, each once, in order."""
        named = [name for names in self.tables().values() for name in names]
        return list(dict.fromkeys([*named, *(self.by_family.experiments if self.by_family.families else [])]))


def control_name(name: str) -> str:
    """The name of an experiment's label-shuffled control."""
    return f"{name}_shuffled"
