# Clusters, folds, and what train and test share. A split family is a named way to deal the records into folds.


rule align_sequences:
    input:
        "<results>/pra310/select/records.parquet",
    output:
        "<results>/split/identities.parquet",
    log:
        "<results>/logs/align_sequences.log",
    conda:
        "../../envs/copra.yaml"
    threads: 8
    params:
        code=fingerprint("align-sequences"),
        settings=as_json(run.split.alignment),
    shell:
        "copra align-sequences {input:q} --settings {params.settings:q} --threads {threads} "
        "--out {output:q} 2> {log:q}"


rule cluster_proteins:
    input:
        "<results>/pra310/select/records.parquet",
    output:
        "<results>/split/clusters/{family}.parquet",
    log:
        "<results>/logs/cluster_proteins/{family}.log",
    wildcard_constraints:
        family=families_by("cd_hit"),
    conda:
        "../../envs/copra.yaml"
    threads: 4
    params:
        code=fingerprint("cluster-proteins"),
        identity=lambda wildcards: run.split.families[wildcards.family].protein_identity,
    shell:
        "copra cluster-proteins {input:q} --identity {params.identity} --threads {threads} "
        "--clusters {output:q} 2> {log:q}"


rule cluster_by_identity:
    input:
        records="<results>/pra310/select/records.parquet",
        identities="<results>/split/identities.parquet",
    output:
        "<results>/split/clusters/{family}.parquet",
    log:
        "<results>/logs/cluster_by_identity/{family}.log",
    wildcard_constraints:
        family=families_by("alignment"),
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("cluster-by-identity"),
        settings=family_json,
    shell:
        "copra cluster-by-identity {input.records:q} --identities {input.identities:q} "
        "--settings {params.settings:q} --clusters {output:q} 2> {log:q}"


rule assign_folds:
    input:
        clusters="<results>/split/clusters/{family}.parquet",
        records="<results>/pra310/select/records.parquet",
    output:
        folds="<results>/split/families/{family}.parquet",
        ids="<results>/split/families/{family}.tsv",
    log:
        "<results>/logs/assign_folds/{family}.log",
    wildcard_constraints:
        family=families_by("cd_hit", "alignment"),
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("assign-folds"),
        folds=run.split.folds,
        balance=run.split.balance,
        seed=run.seed,
    shell:
        "copra assign-folds {input.clusters:q} --records {input.records:q} --folds {params.folds} "
        "--balance {params.balance} --seed {params.seed} --out {output.folds:q} --ids {output.ids:q} 2> {log:q}"


rule assign_by_date:
    input:
        records="<results>/pra310/select/records.parquet",
        entries="<results>/structures/entries.parquet",
        clusters=clusters_of_family,
    output:
        folds="<results>/split/families/{family}.parquet",
        ids="<results>/split/families/{family}.tsv",
    log:
        "<results>/logs/assign_by_date/{family}.log",
    wildcard_constraints:
        family=families_by("release_date"),
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("assign-by-date"),
        settings=family_json,
    shell:
        "copra assign-by-date {input.records:q} --entries {input.entries:q} --clusters {input.clusters:q} "
        "--settings {params.settings:q} --out {output.folds:q} --ids {output.ids:q} 2> {log:q}"


rule read_folds:
    input:
        records="<results>/pra310/select/records.parquet",
        published=lambda wildcards: run.split.families[wildcards.family].path,
        clusters=clusters_of_family,
    output:
        folds="<results>/split/families/{family}.parquet",
        ids="<results>/split/families/{family}.tsv",
    log:
        "<results>/logs/read_folds/{family}.log",
    wildcard_constraints:
        family=families_by("file"),
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("read-folds"),
    shell:
        "copra read-folds {input.records:q} --published {input.published:q} --clusters {input.clusters:q} "
        "--out {output.folds:q} --ids {output.ids:q} 2> {log:q}"


rule choose_family:
    input:
        folds=f"<results>/split/families/{run.split.family}.parquet",
        clusters=f"<results>/split/clusters/{grouping(run.split.family)}.parquet",
    output:
        folds="<results>/split/folds.parquet",
        clusters="<results>/split/clusters.parquet",
    log:
        "<results>/logs/choose_family.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("choose-family"),
    shell:
        "copra choose-family {input.folds:q} --clusters {input.clusters:q} --folds-out {output.folds:q} "
        "--clusters-out {output.clusters:q} 2> {log:q}"


rule report_leakage:
    input:
        folds=expand("<results>/split/families/{family}.parquet", family=COMPARED),
        records="<results>/pra310/select/records.parquet",
        identities="<results>/split/identities.parquet",
        pri30k="<results>/pri30k/pri30k.parquet",
        chains="<results>/structures/chains.parquet",
    output:
        table="<results>/split/leakage.parquet",
        page="<results>/split/leakage.md",
    log:
        "<results>/logs/report_leakage.log",
    conda:
        "../../envs/copra.yaml"
    threads: 4
    params:
        code=fingerprint("report-leakage"),
        settings=as_json(run.split),
    shell:
        "copra report-leakage {input.folds:q} --records {input.records:q} --identities {input.identities:q} "
        "--pri30k {input.pri30k:q} --chains {input.chains:q} --settings {params.settings:q} --threads {threads} "
        "--out {output.table:q} --page {output.page:q} 2> {log:q}"


rule purge_pri30k:
    input:
        pri30k="<results>/pri30k/pri30k.parquet",
        chains="<results>/structures/chains.parquet",
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/families/{family}.parquet",
    output:
        kept="<results>/split/purge/{family}/fold_{fold}/kept.txt",
        decisions="<results>/split/purge/{family}/fold_{fold}/decisions.parquet",
        funnel="<results>/split/purge/{family}/fold_{fold}/funnel.parquet",
    log:
        "<results>/logs/purge_pri30k/{family}_fold_{fold}.log",
    conda:
        "../../envs/copra.yaml"
    threads: 4
    params:
        code=fingerprint("purge-pri30k"),
        settings=as_json(run.split.purge),
        scoring=as_json(run.split.alignment.rna),
    shell:
        "copra purge-pri30k {input.pri30k:q} --chains {input.chains:q} --records {input.records:q} "
        "--folds {input.folds:q} --fold {wildcards.fold} --settings {params.settings:q} --scoring {params.scoring:q} "
        "--threads {threads} --kept {output.kept:q} --decisions {output.decisions:q} --funnel {output.funnel:q} "
        "2> {log:q}"
