# Shared by all rooms: the checked configuration, and how to hand a part of it to a verb.
import atexit
import json
import os
import shlex
import sys
from pathlib import Path

# the package that stands beside this workflow, whatever else is installed
REPOSITORY = workflow.basedir
sys.path.insert(0, REPOSITORY)

from copra.config_experiments import MEASURED, NETWORK_KINDS
from copra.config_file import parse_config
from copra.embed.sizes import memory_mb
from copra.errors import CopraError
from copra.predict.package import complex_settings
from copra.provenance.failures import failure_summary
from copra.provenance.fingerprint import fingerprint, model_fingerprint
from copra.provenance.plan import announce_plan
from copra.provenance.slurm_states import see_cancelled_jobs
from copra.provenance.start import no_gpu, unknown_targets, unwritable
from copra.fetch.by_hand import files_to_bring
from copra.fetch.sources import missing_by_hand, resolve_source
from snakemake_interface_common.exceptions import ApiError


class Refused(ApiError):
    """A mistake of the user's: snakemake prints `Error:` and the text, not where in the workflow it was noticed."""

    # snakemake adds the lines of every workflow file that it finds in the traceback
    __traceback__ = property(lambda error: None, lambda error, traceback: None)


# those given with --configfile override the workflow's own
CONFIG_FILES = [Path(path) for path in ["config.yaml", *workflow.overwrite_configfiles]]
try:
    run = parse_config(config, CONFIG_FILES)
    BY_HAND = missing_by_hand(run)
except CopraError as error:
    raise Refused(str(error)) from None

if workflow.is_main_process and (problem := unwritable([run.paths.results, run.paths.raw])):
    raise Refused(problem)

# snakemake itself reads, logs and starts commands in the locale's encoding; Greek letters stand among the settings
if sys.getfilesystemencoding() != "utf-8":
    raise WorkflowError(
        f"Python works in the encoding '{sys.getfilesystemencoding()}' under this locale, expected utf-8: "
        "`export PYTHONUTF8=1`, which ./run does by itself, and type the same command again."
    )

CURATION = run.paths.curation
# what the command line says; later the rules' own requests stand there too
GPU_ASKED = "gpu" in workflow.resource_settings.resources

if BY_HAND and workflow.is_main_process:
    logger.warning("Files that you must bring before the run:\n" + "\n".join(BY_HAND))


onstart:
    if BY_HAND:
        raise Refused(files_to_bring(run))
    if GPU_ASKED and workflow.local_exec and (problem := no_gpu()):
        raise Refused(problem)


onerror:
    if workflow.scheduler.failed:
        logger.error(failure_summary(workflow.scheduler.failed))


if workflow.is_main_process:
    atexit.register(announce_plan, workflow)
    see_cancelled_jobs()
    # snakemake knows the targets only later; at the end, so that it stands last
    atexit.register(lambda: print(unknown_targets(workflow), end="", file=sys.stderr))

# the package is called from where the workflow stands, in whatever environment a rule runs
# (COPRA_LAUNCHER, torchrun or srun where it is set, starts several processes side by side)
PREFIX = f"export PYTHONPATH={shlex.quote(REPOSITORY)}; " 'copra() { ${COPRA_LAUNCHER:-} python -m copra.cli "$@"; }; '
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


def names_of(kind):
    """The sources of one kind that this run uses."""
    return [name for name, source in run.sources.items() if source.use and resolve_source(run, name).kind == kind]


def source_file(name):
    """Where the fetched file of a source is."""
    return f"<raw>/sources/{name}/{resolve_source(run, name).filename}"


def source_receipt(name):
    """Where the receipt of a source's file is."""
    return source_file(name) + ".receipt.json"


def local_copies(wildcards):
    """The files on this machine that a source is taken from, so that a newer one is taken again."""
    urls = resolve_source(run, wildcards.source).urls
    paths = [url.removeprefix("file:") for url in urls if url.startswith("file:")]
    return [path for path in paths if os.path.exists(path)]


def as_json(settings):
    """A part of the configuration as the verbs take it."""
    return settings.model_dump_json()


def weights_file(wildcards):
    """The checkpoint of a language model; nothing where its weights are random."""
    weights = run.language_models[wildcards.language_model].weights
    return [] if weights.startswith("random:") else source_file(weights)


def embeddings_of(kind):
    """An input function: the embedding shards that an experiment reads for its proteins or its RNA."""

    def shards(wildcards):
        name = getattr(run.experiments[wildcards.experiment], kind, None)
        return (
            expand(
                "<results>/embeddings/{name}/{shard}.h5",
                name=name,
                shard=range(run.embed.shards),
            )
            if name
            else []
        )

    return shards


def pretrained_model(wildcards):
    """The pre-trained model that an experiment starts from in a fold; nothing where it starts from scratch."""
    recipe = getattr(run.experiments[wildcards.experiment], "pretrained", None)
    scope = "all" if run.pretraining.purge == "none" else f"fold_{wildcards.fold}"
    return f"<results>/pretrain/{recipe}/{scope}/model.safetensors" if recipe else []


def recipe_embeddings(kind):
    """An input function: the embedding shards that a recipe reads for its proteins or its RNA."""

    def shards(wildcards):
        name = getattr(run.pretraining.recipes[wildcards.recipe], kind)
        return [f"<results>/embeddings/{name}/{shard}.h5" for shard in range(run.embed.shards)] if name else []

    return shards


def kept_pairs(wildcards):
    """The pairs that are no relatives of the scope's test fold; no file where all may be seen."""
    return [] if wildcards.scope == "all" else f"<results>/split/purge/{run.split.family}/{wildcards.scope}/kept.txt"


def distances_of_recipe(wildcards):
    """The files of binned distances; none for a recipe that does not predict any."""
    if run.pretraining.recipes[wildcards.recipe].distance == "none":
        return []
    return expand("<results>/interfaces/pri30k_distances/{shard}.h5", shard=STRUCTURE_SHARDS)


def recipe_json(wildcards):
    """The settings of one recipe."""
    return as_json(run.pretraining.recipes[wildcards.recipe])


def experiments_json(names):
    """The settings of several experiments."""
    return json.dumps({name: run.experiments[name].model_dump() for name in names})


def experiment_json(wildcards):
    """The settings of one experiment."""
    return as_json(run.experiments[wildcards.experiment])


def language_models_json(wildcards):
    """The settings of the language models that an experiment reads."""
    experiment = run.experiments[wildcards.experiment]
    names = {experiment.protein_lm, experiment.rna_lm} - {None}
    return json.dumps({name: run.language_models[name].model_dump() for name in sorted(names)})


def embedding_json(wildcards):
    """How embeddings are computed and rounded, as far as a prediction must do the same."""
    return run.embed.model_dump_json(include={"dtype", "autocast", "max_tokens_per_batch"})


def complex_settings_json(wildcards):
    """How the interfaces of an experiment are cut, and what its complexes keep to."""
    return as_json(complex_settings(run, run.experiments[wildcards.experiment]))


def family_of(wildcards):
    """The split family of a place below the results: the one that is trained on, or by_family/<name>/."""
    return wildcards.place.split("/")[1] if wildcards.place else run.split.family


def folds_of(wildcards):
    """The folds of a place."""
    family = family_of(wildcards)
    return f"<results>/split/families/{family}.parquet" if wildcards.place else "<results>/split/folds.parquet"


def method_of(wildcards):
    """How the folds of a place were made: by release date, the later ones are not trained on."""
    return run.split.families[family_of(wildcards)].method


def interfaces_of(wildcards):
    """The interfaces that an experiment sees; none where it reads whole sequences."""
    experiment = run.experiments[wildcards.experiment]
    kind = "whole" if experiment.interface_nodes > run.structures.interface_nodes else "pra310"
    paths = expand("<results>/interfaces/{kind}/{shard}.h5", kind=kind, shard=STRUCTURE_SHARDS)
    return paths if experiment.nodes == "interface" else []


def features_of(wildcards):
    """The measured features of interfaces, where an experiment reads any."""
    wanted = set(getattr(run.experiments[wildcards.experiment], "features", ())) & set(MEASURED)
    return expand("<results>/interfaces/features/{shard}.parquet", shard=STRUCTURE_SHARDS) if wanted else []


def identities_of(wildcards):
    """How alike the records' proteins are, where an experiment asks."""
    return "<results>/split/identities.parquet" if model_of(wildcards) == "nearest_protein" else []


def energies_of(wildcards):
    """FoldX's energies, where an experiment reads them."""
    paths = expand("<results>/foldx/{shard}.parquet", shard=STRUCTURE_SHARDS)
    return paths if model_of(wildcards) == "foldx" else []


def model_of(wildcards):
    """What kind of model an experiment is."""
    return run.experiments[wildcards.experiment].model


def held_out(family):
    """The folds of a split family that are tested."""
    settings = run.split.families[family]
    return range(1, len(settings.test_from) + 1) if settings.method == "release_date" else range(run.split.folds)


def predictions_of(wildcards):
    """The predictions of every experiment, seed and fold of one table of one place."""
    return expand(
        "<results>/{place}train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
        place=wildcards.place,
        experiment=TABLES[wildcards.table],
        seed=run.evaluate.seeds_of(wildcards.table),
        fold=held_out(family_of(wildcards)),
    )


def families_by(*methods):
    """A pattern of the names of the split families that are made in one of these ways."""
    return "|".join(name for name, family in run.split.families.items() if family.method in methods) or "(?!)"


def family_json(wildcards):
    """The settings of one split family."""
    return as_json(run.split.families[wildcards.family])


def grouping(family):
    """The family whose clusters a split family carries: its own, or those it is said to be grouped as."""
    return getattr(run.split.families[family], "grouped_as", family)


def clusters_of_family(wildcards):
    """The clusters that a split family carries."""
    return f"<results>/split/clusters/{grouping(wildcards.family)}.parquet"


# families whose file is not here are left out, visibly
ABSENT = [name for name in run.split.compare if not os.path.exists(getattr(run.split.families[name], "path", "."))]
COMPARED = [name for name in run.split.compare if name not in ABSENT]
if ABSENT and workflow.is_main_process:
    for name in ABSENT:
        logger.warning(f"Split family '{name}' is left out: there is no file {run.split.families[name].path}")

OBSOLETE = names_of("obsolete")
AFFINITY = names_of("affinity")
MUTATIONS = names_of("mutations")
PAIRS = names_of("pairs")
# the rows of Table 2; none where no set of mutations is in use
TABLE2 = run.mutations.table2 if set(MUTATIONS) & set(run.mutations.parts()) else []
# every table, the experiments that are run on other split families among them
TABLES = run.evaluate.tables() | {"families": run.evaluate.by_family.experiments}
PLACES = [f"by_family/{family}/" for family in run.evaluate.by_family.families]
# what `all` makes; the ablations' tables are asked for by name
MAIN = ["table1", *(["controls"] if run.evaluate.controls else [])]
# experiments whose models the rows of Table 2 start from
BASES = run.mutations.bases() if TABLE2 else []
EXPERIMENTS = list(dict.fromkeys([*run.evaluate.experiments(), *BASES]))
NEURAL = [name for name in EXPERIMENTS if isinstance(run.experiments[name], NETWORK_KINDS)]
CLASSICAL = [name for name in EXPERIMENTS if name not in NEURAL]
# models to predict with: none whose epoch was chosen on the fold that it reports, none of shuffled labels
PACKAGED = [
    name
    for name in dict.fromkeys([*run.evaluate.table1, *BASES])
    if name in NEURAL and run.experiments[name].protocol == "nested" and not run.experiments[name].shuffle_labels
]
MAIN_EXPERIMENTS = [run.experiments[name] for table in MAIN for name in TABLES[table]]
# pre-training: the recipes that an experiment of these starts from, and the test folds that are purged
RECIPES = sorted({getattr(experiment, "pretrained", None) for experiment in MAIN_EXPERIMENTS} - {None})
SCOPES = ["all"] if run.pretraining.purge == "none" else [f"fold_{fold}" for fold in range(run.split.folds)]
LANGUAGE_MODELS = sorted(
    {getattr(experiment, kind, None) for experiment in MAIN_EXPERIMENTS for kind in ("protein_lm", "rna_lm")} - {None}
)
WEIGHTS = sorted({run.language_models[lm].weights for lm in LANGUAGE_MODELS} & set(run.sources))
SOURCES = names_of("entries") + OBSOLETE + AFFINITY + MUTATIONS + PAIRS + WEIGHTS
STRUCTURE_SHARDS = range(run.structures.shards)


wildcard_constraints:
    source="[A-Za-z0-9_]+",
    filename=r"[^/]+(?<!\.receipt\.json)",
    shard=r"\d+",
    seed=r"\d+",
    fold=r"\d+",
    experiment="[A-Za-z0-9_]+",
    place="(by_family/[A-Za-z0-9_]+/)?",
    table="[A-Za-z0-9_]+",
    language_model="[A-Za-z0-9_]+",
    family="[A-Za-z0-9_]+",
