# One job per experiment, seed and fold; each writes predictions for records it has not seen.


rule fit_baseline:
    input:
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/folds.parquet",
    output:
        "<results>/train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
    log:
        "<results>/logs/fit_baseline/{experiment}/seed_{seed}_fold_{fold}.log",
    wildcard_constraints:
        experiment="|".join(CLASSICAL) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("fit-baseline"),
        experiment=experiment_json,
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
        pretrained=pretrained_model,
    output:
        "<results>/train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
    log:
        "<results>/logs/train_fold/{experiment}/seed_{seed}_fold_{fold}.log",
    wildcard_constraints:
        experiment="|".join(NEURAL) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    resources:
        gpu=1,
    params:
        code=fingerprint("train-fold"),
        experiment=experiment_json,
        checkpoint=lambda wildcards, output: os.path.join(os.path.dirname(output[0]), "checkpoint"),
        pretrained=lambda wildcards, input: (
            f"--pretrained {shlex.quote(str(input.pretrained))}" if input.pretrained else ""
        ),
    shell:
        "copra train-fold {input.records:q} --folds {input.folds:q} --fold {wildcards.fold} "
        "--seed {wildcards.seed} --name {wildcards.experiment} --experiment {params.experiment:q} "
        "--interfaces {input.interfaces:q} --protein-embeddings {input.protein_embeddings:q} "
        "--rna-embeddings {input.rna_embeddings:q} {params.pretrained} --checkpoint {params.checkpoint:q} "
        "--out {output:q} 2> {log:q}"
