"""The configuration: every key, its type and what is allowed. No value has a default: config.yaml holds them all."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from copra.config_base import Count, Name, Positive, Settings
from copra.config_evaluate import Evaluate, control_name
from copra.config_experiments import NETWORK_KINDS, Experiment
from copra.config_model import Architecture, Coformer, Pretraining
from copra.config_mutation import Mutations
from copra.config_split import Split
from copra.nearest import nearest

# blanks, quotes and letters of any script may stand in a path; <> and {} mean something to snakemake
Place = Annotated[str, Field(pattern=r"^[^<>{}\x00-\x1f-][^<>{}\x00-\x1f]*$")]


class Paths(Settings):
    """Where files are; relative to the folder in which snakemake runs."""

    raw: Place
    by_hand: Place
    results: Place
    curation: Place


class Source(Settings):
    """One source of resources/curation/sources.tsv as this run uses it; null = as sources.tsv has it."""

    use: bool
    required: bool
    urls: list[str] | None
    filename: str | None
    version: str | None
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64}|first_use)$")] | None


class Fetch(Settings):
    """How to download."""

    released_until: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    parallel_downloads: Count
    requests_per_s: Positive | None
    retries: Annotated[int, Field(ge=0)]
    timeout_s: Positive
    min_bytes_per_s: Annotated[int, Field(ge=0)]
    missing_structures: Literal["go_on", "stop"]
    structure_urls: Annotated[list[str], Field(min_length=1)]


class Structures(Settings):
    """What is read from a coordinate file, and what an interface is."""

    shards: Annotated[int, Field(ge=1, le=4096)]
    contact_cutoff_angstrom: Positive
    interface_nodes: Count
    whole_complex_nodes: Count  # for experiments with more interface_nodes than the interfaces have


class Pri30k(Settings):
    """Which chain pairs are pre-training pairs."""

    variant: Literal["component", "pairs"]
    repeats: Literal["keep", "one_per_entry", "one"]
    min_binding_residues: Count
    counted_residues: Literal["observed", "full"]
    min_protein_residues: Count
    max_protein_residues: Count
    min_rna_nucleotides: Count
    max_rna_nucleotides: Count
    max_total_residues: Count


class Window(Settings):
    """A range of dG, open at both ends."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be smaller than high ({self.high})")
        return self

    def holds(self, dg_kcal_mol: float) -> bool:
        """Whether a dG lies inside."""
        return self.low < dg_kcal_mol < self.high


class Pra201(Settings):
    """The limits of the subset with one protein and one RNA chain."""

    max_protein_residues: Count
    max_rna_nucleotides: Count


class Pra310(Settings):
    """How a label is decided and which complexes become records."""

    default_temperature_k: Annotated[float, Field(ge=273, le=373)]
    agree_within_kcal_mol: Positive
    unresolved_beyond_kcal_mol: Positive
    source_order: Annotated[list[str], Field(min_length=1)]
    older_editions: dict[str, str]
    max_packing_contacts: Annotated[int, Field(ge=0)]
    min_protein_residues: Count
    max_protein_residues: Count
    min_rna_nucleotides: Count
    max_rna_nucleotides: Count
    max_protein_chains: Count
    max_rna_chains: Count
    variant: Literal["full", "restricted"]
    dg_window_kcal_mol: Window
    pra201: Pra201


class Encoder(Settings):
    """A language model; `weights` names a source, or is `random:<seed>` for seeded random weights."""

    layers: Count
    width: Count
    heads: Count
    weights: str


class Esm2(Encoder):
    """An ESM-2 model of proteins."""

    family: Literal["esm2"]


class Rinalmo(Encoder):
    """A RiNALMo model of RNA."""

    family: Literal["rinalmo"]


LanguageModel = Annotated[Esm2 | Rinalmo, Field(discriminator="family")]


class Embed(Settings):
    """How language models are run."""

    shards: Annotated[int, Field(ge=1, le=4096)]
    max_tokens_per_batch: Count
    dtype: Literal["float16", "float32"]
    autocast: Literal["none", "bf16", "fp16", "auto"]


class FoldXProgram(Settings):
    """The user's own licensed FoldX; without it FoldX rows are skipped, visibly."""

    binary: str | None  # path of the program
    rotabase: str | None  # path of rotabase.txt; null = beside the program, where that version needs one
    timeout_s: Positive  # for one complex


class Config(Settings):
    """The whole configuration."""

    seed: int
    paths: Paths
    sources: dict[Name, Source]
    fetch: Fetch
    structures: Structures
    pri30k: Pri30k
    pra310: Pra310
    split: Split
    language_models: dict[Name, LanguageModel]
    embed: Embed
    pretraining: Pretraining
    foldx: FoldXProgram
    experiments: dict[Name, Experiment]
    mutations: Mutations
    evaluate: Evaluate

    @model_validator(mode="before")
    @classmethod
    def _with_controls(cls, values: Any) -> Any:
        """Each control is its experiment with shuffle_labels: true, under the name <name>_shuffled."""
        try:
            experiments, controls = values["experiments"], values["evaluate"]["controls"]
            made = {control_name(name): {**experiments[name], "shuffle_labels": True} for name in controls}
            return {**values, "experiments": {**experiments, **made}}
        except (KeyError, TypeError):  # the checks that follow say what is wrong
            return values

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        settings = self.evaluate
        named = {key: getattr(settings, key) for key in ("table1", "table3", "table4", "figure3", "controls")}
        named |= {"compare_with": settings.compare_with, "by_family.experiments": settings.by_family.experiments}
        for key, names in named.items():
            for name in names:
                if name not in self.experiments:
                    raise ValueError(
                        f"evaluate.{key}: '{name}' is not in experiments; {nearest(name, self.experiments)}"
                    )
        for name in settings.by_family.families:
            if name not in self.split.families or name == self.split.family:
                others = nearest(name, set(self.split.families) - {self.split.family})
                raise ValueError(f"evaluate.by_family.families: '{name}' is none of the other families; {others}")
        for name in settings.by_family.experiments:
            if getattr(self.experiments[name], "pretrained", None) is not None:
                raise ValueError(f"evaluate.by_family.experiments: '{name}' is pre-trained, purged for one family only")
        for name, experiment in self.experiments.items():
            self._check_language_models(f"experiments.{name}", experiment)
            if isinstance(experiment, Coformer):
                self._check_pretrained(f"experiments.{name}", experiment)
        for name, recipe in self.pretraining.recipes.items():
            self._check_language_models(f"pretraining.recipes.{name}", recipe)
        self._check_mutations()
        return self

    def _check_mutations(self) -> None:
        for source in self.mutations.parts():
            if source not in self.sources:
                raise ValueError(
                    f"mutations: the set '{source}' is none of the sources; {nearest(source, self.sources)}"
                )
        for name, settings in self.mutations.experiments.items():
            base = getattr(settings, "base", None)
            fitting = [
                other for other, experiment in self.experiments.items()
                if isinstance(experiment, NETWORK_KINDS)
                and experiment.protocol == "nested" and not experiment.shuffle_labels
                and (experiment.model == "deepnap" if settings.kind == "deepnap" else experiment.nodes == "interface")
                and (settings.kind != "fine_tuned" or isinstance(experiment, Coformer))
            ]  # fmt: skip
            if base is not None and base not in fitting:
                alike = nearest(base, fitting)
                raise ValueError(f"mutations.experiments.{name}.base: '{base}' is none of those that fit; {alike}")
        for base in self.mutations.bases():
            experiment, most = self.experiments[base], self.structures.interface_nodes
            if getattr(experiment, "nodes", "") == "interface" and getattr(experiment, "interface_nodes", 0) > most:
                raise ValueError(f"mutations.table2: '{base}' sees more than structures.interface_nodes ({most})")

    def _check_language_models(self, where: str, settings: Settings) -> None:
        for key, family in (("protein_lm", "esm2"), ("rna_lm", "rinalmo")):
            lm = getattr(settings, key, None)
            if lm is not None and (lm not in self.language_models or self.language_models[lm].family != family):
                allowed = [n for n, m in self.language_models.items() if m.family == family]
                raise ValueError(f"{where}.{key}: '{lm}' is none of the {family} models; {nearest(lm, allowed)}")

    def _check_pretrained(self, where: str, experiment: Coformer) -> None:
        if experiment.pretrained is None:
            return
        recipe = self.pretraining.recipes.get(experiment.pretrained)
        if recipe is None:
            alike = nearest(experiment.pretrained, self.pretraining.recipes)
            raise ValueError(f"{where}.pretrained: '{experiment.pretrained}' is none of the recipes; {alike}")
        for key in Architecture.model_fields:
            ours, theirs = getattr(experiment, key), getattr(recipe, key)
            if ours != theirs and key not in ("dropout", "interface_nodes"):
                raise ValueError(f"{where}.{key} is {ours}, in its recipe '{experiment.pretrained}' it is {theirs}")
