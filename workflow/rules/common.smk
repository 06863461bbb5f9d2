# Shared by all rooms: the checked configuration, and how to hand a part of it to a verb.
import atexit
import os
import shlex
import sys

# the package that stands beside this workflow, whatever else is installed
REPOSITORY = workflow.basedir
sys.path.insert(0, REPOSITORY)

from copra.config_file import parse_config
from copra.embed.sizes import memory_mb
from copra.errors import CopraError
from copra.provenance.fingerprint import fingerprint
from copra.provenance.plan import announce_gpu_jobs
from copra.fetch.sources import missing_by_hand, resolve_source
from snakemake.exceptions import WorkflowError

try:
    run = parse_config(config)
    BY_HAND = missing_by_hand(run)
except CopraError as error:
    raise WorkflowError(str(error))

CURATION = run.paths.curation

if BY_HAND and workflow.is_main_process:
    logger.warning("Files that you must bring before the run:\n" + "\n".join(BY_HAND))


onstart:
    if BY_HAND:
        raise WorkflowError("No job was started: the files named above are not here.")


if workflow.is_main_process:
    atexit.register(announce_gpu_jobs, workflow)

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
        name = getattr(run.experiments[wildcards.experiment], kind)
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
    recipe = run.experiments[wildcards.experiment].pretrained
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


def experiment_json(wildcards):
    """The settings of one experiment."""
    return as_json(run.experiments[wildcards.experiment])


def predictions_of(experiments):
    """The predictions of every seed and fold of the experiments."""
    return expand(
        "<results>/train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
        experiment=experiments,
        seed=run.evaluate.seeds,
        fold=range(run.split.folds),
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
NEURAL = [name for name in run.evaluate.table1 if run.experiments[name].model == "coformer"]
CLASSICAL = [name for name in run.evaluate.table1 if run.experiments[name].model != "coformer"]
# pre-training: the recipes that an experiment of the table starts from, and the test folds that are purged
RECIPES = sorted({run.experiments[name].pretrained for name in NEURAL} - {None})
SCOPES = ["all"] if run.pretraining.purge == "none" else [f"fold_{fold}" for fold in range(run.split.folds)]
LANGUAGE_MODELS = sorted(
    {lm for name in NEURAL for lm in (run.experiments[name].protein_lm, run.experiments[name].rna_lm) if lm}
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
    language_model="[A-Za-z0-9_]+",
    family="[A-Za-z0-9_]+",
