# One job per experiment, seed and fold; each writes predictions for records it has not seen. Below by_family/<name>/
# stands the same on the folds of another split family.


rule fit_baseline:
    input:
        records="<results>/pra310/select/records.parquet",
        folds=folds_of,
        features=features_of,
        protein_embeddings=embeddings_of("protein_lm"),
        rna_embeddings=embeddings_of("rna_lm"),
        identities=identities_of,
        energies=energies_of,
    output:
        "<results>/{place}train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
    log:
        "<results>/{place}logs/fit_baseline/{experiment}/seed_{seed}_fold_{fold}.log",
    wildcard_constraints:
        experiment="|".join(CLASSICAL) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("fit-baseline"),
        experiment=experiment_json,
        method=method_of,
    shell:
        "copra fit-baseline {input.records:q} --folds {input.folds:q} --fold {wildcards.fold} "
        "--method {params.method} --seed {wildcards.seed} --name {wildcards.experiment} "
        "--experiment {params.experiment:q} --features {input.features:q} "
        "--protein-embeddings {input.protein_embeddings:q} --rna-embeddings {input.rna_embeddings:q} "
        "--identities {input.identities:q} --energies {input.energies:q} --out {output:q} 2> {log:q}"


rule train_fold:
    input:
        records="<results>/pra310/select/records.parquet",
        folds=folds_of,
        interfaces=interfaces_of,
        protein_embeddings=embeddings_of("protein_lm"),
        rna_embeddings=embeddings_of("rna_lm"),
        pretrained=pretrained_model,
    output:
        predictions="<results>/{place}train/{experiment}/seed_{seed}/fold_{fold}/predictions.parquet",
        history="<results>/{place}train/{experiment}/seed_{seed}/fold_{fold}/history.jsonl",
    log:
        "<results>/{place}logs/train_fold/{experiment}/seed_{seed}_fold_{fold}.log",
    wildcard_constraints:
        experiment="|".join(NEURAL) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    resources:
        gpu=1,
    params:
        code=fingerprint("train-fold"),
        model_code=lambda wildcards: model_fingerprint(model_of(wildcards)),
        experiment=experiment_json,
        method=method_of,
        checkpoint=lambda wildcards, output: os.path.join(os.path.dirname(output.predictions), "checkpoint"),
        pretrained=lambda wildcards, input: (
            f"--pretrained {shlex.quote(str(input.pretrained))}" if input.pretrained else ""
        ),
    shell:
        "copra train-fold {input.records:q} --folds {input.folds:q} --fold {wildcards.fold} "
        "--method {params.method} --seed {wildcards.seed} --name {wildcards.experiment} "
        "--experiment {params.experiment:q} --interfaces {input.interfaces:q} "
        "--protein-embeddings {input.protein_embeddings:q} --rna-embeddings {input.rna_embeddings:q} "
        "{params.pretrained} --checkpoint {params.checkpoint:q} --history {output.history:q} "
        "--out {output.predictions:q} 2> {log:q}"
