# Mutation effects (Table 2): which complex each is of, and what models of dG say of it, as they are and trained on to ddG.


rule select_mutations:
    input:
        mutants="<results>/structures/mutants.parquet",
        refused="<results>/structures/mutant_rejects.parquet",
        mutations=expand("<results>/parsed/{source}/mutations.parquet", source=IN_USE),
        stores=expand("<results>/structures/shards/{shard}/store.h5", shard=STRUCTURE_SHARDS),
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/folds.parquet",
    output:
        records="<results>/mutations/records.parquet",
        rejects="<results>/mutations/rejects.parquet",
        interfaces="<results>/mutations/interfaces.h5",
    log:
        "<results>/logs/select_mutations.log",
    conda:
        "../../envs/copra.yaml"
    threads: 8
    params:
        code=fingerprint("select-mutations"),
        cv=sources_of_part("cv"),
        blind=sources_of_part("blind"),
        extra=sources_of_part("extra"),
        n_folds=run.mutations.folds,
        related_identity=run.mutations.related_identity,
        scoring=as_json(run.split.alignment.protein),
        limits=as_json(run.pra310),
        contact_cutoff_angstrom=run.structures.contact_cutoff_angstrom,
        interface_nodes=run.structures.interface_nodes,
    shell:
        "copra select-mutations {input.mutants:q} --refused {input.refused:q} --mutations {input.mutations:q} "
        "--cv-sources {params.cv} --blind-sources {params.blind} --extra-sources {params.extra} "
        "--stores {input.stores:q} --records {input.records:q} --folds {input.folds:q} --n-folds {params.n_folds} "
        "--related-identity {params.related_identity} --scoring {params.scoring:q} --limits {params.limits:q} "
        "--contact-cutoff-angstrom {params.contact_cutoff_angstrom} --interface-nodes {params.interface_nodes} "
        "--threads {threads} --out {output.records:q} --rejects {output.rejects:q} "
        "--interfaces {output.interfaces:q} 2> {log:q}"


rule predict_mutations:
    input:
        records="<results>/mutations/records.parquet",
        package=package_of_base,
        interfaces="<results>/mutations/interfaces.h5",
        protein_embeddings=embeddings_of_base("protein_lm"),
        rna_embeddings=embeddings_of_base("rna_lm"),
    output:
        "<results>/mutations/{experiment}/predictions.parquet",
    log:
        "<results>/logs/predict_mutations/{experiment}.log",
    wildcard_constraints:
        experiment="|".join(ZERO_SHOT) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    resources:
        gpu=1,
    params:
        code=fingerprint("predict-mutations"),
        package=lambda wildcards, input: os.path.dirname(input.package),
    shell:
        "copra predict-mutations {input.records:q} --name {wildcards.experiment} --package {params.package:q} "
        "--interfaces {input.interfaces:q} --protein-embeddings {input.protein_embeddings:q} "
        "--rna-embeddings {input.rna_embeddings:q} --out {output:q} 2> {log:q}"


rule train_mutations:
    input:
        records="<results>/mutations/records.parquet",
        package=package_of_base,
        interfaces="<results>/mutations/interfaces.h5",
        protein_embeddings=embeddings_of_base("protein_lm"),
        rna_embeddings=embeddings_of_base("rna_lm"),
    output:
        predictions="<results>/mutations/{experiment}/{training}/seed_{seed}/fold_{fold}/predictions.parquet",
        history="<results>/mutations/{experiment}/{training}/seed_{seed}/fold_{fold}/history.jsonl",
    log:
        "<results>/logs/train_mutations/{experiment}/{training}/seed_{seed}_fold_{fold}.log",
    wildcard_constraints:
        experiment="|".join(FINE_TUNED) or "(?!)",
        training="all|unseen",
    conda:
        "../../envs/copra.yaml"
    resources:
        gpu=1,
    params:
        code=fingerprint("train-mutations"),
        experiment=lambda wildcards: as_json(run.mutations.experiments[wildcards.experiment]),
        package=lambda wildcards, input: os.path.dirname(input.package),
        checkpoint=lambda wildcards, output: os.path.join(os.path.dirname(output.predictions), "checkpoint"),
    shell:
        "copra train-mutations {input.records:q} --name {wildcards.experiment} --experiment {params.experiment:q} "
        "--package {params.package:q} --training {wildcards.training} --seed {wildcards.seed} "
        "--fold {wildcards.fold} --interfaces {input.interfaces:q} "
        "--protein-embeddings {input.protein_embeddings:q} --rna-embeddings {input.rna_embeddings:q} "
        "--checkpoint {params.checkpoint:q} --history {output.history:q} --out {output.predictions:q} 2> {log:q}"


rule gather_mutations:
    input:
        predictions=expand(
            "<results>/mutations/{{experiment}}/{training}/seed_{seed}/fold_{fold}/predictions.parquet",
            training=["all", "unseen"],
            seed=run.evaluate.seeds,
            fold=range(run.mutations.folds),
        ),
        records="<results>/mutations/records.parquet",
    output:
        "<results>/mutations/{experiment}/predictions.parquet",
    log:
        "<results>/logs/gather_mutations/{experiment}.log",
    wildcard_constraints:
        experiment="|".join(FINE_TUNED) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("gather-mutations"),
    shell:
        "copra gather-mutations {input.predictions:q} --records {input.records:q} --out {output:q} 2> {log:q}"
