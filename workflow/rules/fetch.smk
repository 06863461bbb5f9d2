# Bytes: every file brought, verified and left as it came.


rule fetch_source:
    input:
        local_copies,
    output:
        file="<raw>/sources/{source}/{filename}",
        receipt="<raw>/sources/{source}/{filename}.receipt.json",
    log:
        "<results>/logs/fetch_source/{source}.{filename}.log",
    localrule: True  # compute nodes often have no network
    conda:
        "../../envs/copra.yaml"
    params:
        url=lambda wildcards: resolve_source(run, wildcards.source).urls,
        sha256=lambda wildcards: resolve_source(run, wildcards.source).sha256,
        version=lambda wildcards: resolve_source(run, wildcards.source).version,
        required=lambda wildcards: ("" if run.sources[wildcards.source].required else "no-"),
        timeout_s=run.fetch.timeout_s,
        retries=run.fetch.retries,
    shell:
        "copra fetch-source {wildcards.source:q} --url {params.url:q} --sha256 {params.sha256} "
        "--version={params.version:q} --{params.required}required --timeout-s {params.timeout_s} "
        "--retries {params.retries} --out {output.file:q} --receipt {output.receipt:q} 2> {log:q}"


rule list_entries:
    input:
        source_file("pdb_entries"),
    output:
        "<results>/entries/wanted.parquet",
    log:
        "<results>/logs/list_entries.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("list-entries"),
        shards=run.structures.shards,
    shell:
        "copra list-entries {input:q} --shards {params.shards} --out {output:q} 2> {log:q}"


rule fetch_structures:
    input:
        "<results>/entries/wanted.parquet",
    output:
        "<results>/fetched/{shard}.parquet",
    log:
        "<results>/logs/fetch_structures/{shard}.log",
    localrule: True  # compute nodes often have no network
    conda:
        "../../envs/copra.yaml"
    params:
        url=lambda wildcards: run.fetch.structure_urls,
        folder=f"{run.paths.raw}/structures",
        parallel_downloads=run.fetch.parallel_downloads,
        timeout_s=run.fetch.timeout_s,
        retries=run.fetch.retries,
    shell:
        "copra fetch-structures {input:q} --shard {wildcards.shard} --url {params.url:q} "
        "--folder {params.folder:q} --parallel-downloads {params.parallel_downloads} "
        "--retries {params.retries} --timeout-s {params.timeout_s} --out {output:q} 2> {log:q}"
