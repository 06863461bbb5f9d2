# A folder to predict with per neural experiment of table 1: the models of all its seeds and folds, what they learnt from.


rule package_model:
    input:
        # the weights stand beside each, in the folder checkpoint
        predictions=expand(
            "<results>/train/{{experiment}}/seed_{seed}/fold_{fold}/predictions.parquet",
            seed=run.evaluate.seeds,
            fold=held_out(run.split.family),
        ),
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/folds.parquet",
        interfaces=expand("<results>/interfaces/pra310/{shard}.h5", shard=STRUCTURE_SHARDS),
    output:
        model="<results>/models/{experiment}/model.json",
        training="<results>/models/{experiment}/training.parquet",
    log:
        "<results>/logs/package_model/{experiment}.log",
    wildcard_constraints:
        experiment="|".join(PACKAGED) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("package-model"),
        experiment=experiment_json,
        family=run.split.family,
        language_models=language_models_json,
        embedding=embedding_json,
        structures=complex_settings_json,
        alignment=as_json(run.split.alignment),
        notice=run.evaluate.notice,
        out=lambda wildcards, output: os.path.dirname(output.model),
    shell:
        "copra package-model {input.predictions:q} --name {wildcards.experiment} --experiment {params.experiment:q} "
        "--records {input.records:q} --folds {input.folds:q} --family {params.family} "
        "--interfaces {input.interfaces:q} --language-models {params.language_models:q} "
        "--embedding {params.embedding:q} --structures {params.structures:q} --alignment {params.alignment:q} "
        "--notice {params.notice:q} --out {params.out:q} 2> {log:q}"


rule models:
    input:
        expand("<results>/models/{experiment}/model.json", experiment=PACKAGED),
