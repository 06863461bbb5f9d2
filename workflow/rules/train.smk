# One job per experiment, seed and fold; each writes predictions for records it has not seen.


def embeddings_of(kind):
    """An input function: the embedding shards that an experiment reads for its proteins or its RNA."""

    def shards(wildcards):
        name = getattr(run.experiments[wildcards.experiment], kind)
        return expand("<results>/embeddings/{name}/{shard}.h5", name=name, shard=range(run.embed.shards)) if name else []

    return shards


def experiment_json(wildcards):
    """The settings of one experiment."""
    return as_json(run.experiments[wildcards.experiment])


rule fit_baseline:
    input:
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/folds.parquet",
    output:
        "<results>/train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
    wildcard_constraints:
        experiment="|".join(CLASSICAL) or "(?!)",
    log:
        "<results>/logs/fit_baseline/{experiment}/seed_{seed}_fold_{fold}.log",
    params:
        code=fingerprint("fit-baseline"),
        experiment=experiment_json,
    conda:
        "../../envs/copra.yaml"
    shell:
        "copra fit-baseline {input.records:q} --folds {input.folds:q} --fold {wildcards.fold} "
        "--seed {wildcards.seed} --name {wildcards.experiment} --experiment {params.experiment:q} "
        "--out {output:q} 2> {log:q}"


rule train_fold:
    input:
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/folds.parquet",
        interfaces=expand("<results>/interfaces/pra310/{shard}.h5", shard=STRUCTURE_SHARDS),
        protein_embeddings=embeddings_of("protein_lm"),
        rna_embeddings=embeddings_of("rna_lm"),
    output:
        "<results>/train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
    wildcard_constraints:
        experiment="|".join(NEURAL) or "(?!)",
    log:
        "<results>/logs/train_fold/{experiment}/seed_{seed}_fold_{fold}.log",
    params:
        code=fingerprint("train-fold"),
        experiment=experiment_json,
        checkpoint=lambda wildcards: f"{run.paths.results}/train/{wildcards.experiment}"
        f"/seed_{wildcards.seed}/fold_{wildcards.fold}/checkpoint",
    resources:
        gpu=1,
    conda:
        "../../envs/copra.yaml"
    shell:
        "copra train-fold {input.records:q} --folds {input.folds:q} --fold {wildcards.fold} "
        "--seed {wildcards.seed} --name {wildcards.experiment} --experiment {params.experiment:q} "
        "--interfaces {input.interfaces:q} --protein-embeddings {input.protein_embeddings:q} "
        "--rna-embeddings {input.rna_embeddings:q} --checkpoint {params.checkpoint:q} "
        "--out {output:q} 2> {log:q}"
