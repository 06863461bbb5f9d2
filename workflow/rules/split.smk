# Clusters and folds.


rule cluster_proteins:
    input:
        "<results>/pra310/select/records.parquet",
    output:
        "<results>/split/clusters.parquet",
    log:
        "<results>/logs/cluster_proteins.log",
    conda:
        "../../envs/copra.yaml"
    threads: 4
    params:
        code=fingerprint("cluster-proteins"),
        identity=run.split.identity,
    shell:
        "copra cluster-proteins {input:q} --identity {params.identity} --threads {threads} "
        "--clusters {output:q} 2> {log:q}"


rule assign_folds:
    input:
        clusters="<results>/split/clusters.parquet",
        records="<results>/pra310/select/records.parquet",
    output:
        "<results>/split/folds.parquet",
    log:
        "<results>/logs/assign_folds.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("assign-folds"),
        folds=run.split.folds,
        seed=run.seed,
    shell:
        "copra assign-folds {input.clusters:q} --records {input.records:q} --folds {params.folds} "
        "--seed {params.seed} --out {output:q} 2> {log:q}"
