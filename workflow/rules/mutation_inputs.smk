# What the rules of Table 2 read: which experiments there are, and the files that each asks for.
ZERO_SHOT = [name for name in TABLE2 if run.mutations.experiments[name].kind == "zero_shot"]
FINE_TUNED = [name for name in TABLE2 if run.mutations.experiments[name].kind == "fine_tuned"]
# each named set that is in use, by its part
IN_USE = {source: part for source, part in run.mutations.parts().items() if source in MUTATIONS}


def sources_of_part(part):
    """The sources in use that are the cross-validated, the blind or the extra sets."""
    return [source for source, kind in IN_USE.items() if kind == part]


def package_of_base(wildcards):
    """The models that a mutation experiment starts from."""
    return f"<results>/models/{run.mutations.experiments[wildcards.experiment].base}/model.json"


def embeddings_of_base(kind):
    """An input function: the embedding shards that the base of a mutation experiment reads."""

    def shards(wildcards):
        name = getattr(run.experiments[run.mutations.experiments[wildcards.experiment].base], kind)
        return [f"<results>/embeddings/{name}/{shard}.h5" for shard in range(run.embed.shards)] if name else []

    return shards


def mutation_shards(folder, *kinds):
    """An input function: the tables of all shards below a folder, for baselines of the kinds that read them."""

    def paths(wildcards):
        wanted = run.mutations.experiments[wildcards.experiment].kind in kinds
        return (
            expand(
                "<results>/mutations/{folder}/{shard}.parquet",
                folder=folder,
                shard=STRUCTURE_SHARDS,
            )
            if wanted
            else []
        )

    return paths


def full_sequences(name):
    """An input function: a table of full sequences, for baselines that read no structure."""

    def path(wildcards):
        kind = run.mutations.experiments[wildcards.experiment].kind
        return f"<results>/structures/{name}.parquet" if kind == "deepnap" else []

    return path


def base_package(wildcards):
    """The models of dG that a baseline takes the difference of; nothing for others."""
    is_difference = run.mutations.experiments[wildcards.experiment].kind == "deepnap"
    return package_of_base(wildcards) if is_difference else []
