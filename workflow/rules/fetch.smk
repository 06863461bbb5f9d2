# Bytes: every file brought, verified and left as it came.

# How to download changes no result. It is passed as a resource, not as a parameter: a change runs nothing again.
PATIENCE = (
    f"--retries {run.fetch.retries} --timeout-s {run.fetch.timeout_s} --min-bytes-per-s {run.fetch.min_bytes_per_s}"
)
RATE = "" if run.fetch.requests_per_s is None else f"--requests-per-s {run.fetch.requests_per_s}"
PACE = f"--parallel-downloads {run.fetch.parallel_downloads} {RATE} {PATIENCE}"


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
    resources:
        pace=PATIENCE,
    params:
        url=lambda wildcards: resolve_source(run, wildcards.source).urls,
        sha256=lambda wildcards: resolve_source(run, wildcards.source).sha256,
        version=lambda wildcards: resolve_source(run, wildcards.source).version,
        begins=lambda wildcards: resolve_source(run, wildcards.source).begins,
        required=lambda wildcards: ("" if run.sources[wildcards.source].required else "no-"),
    shell:
        "copra fetch-source {wildcards.source:q} --url {params.url:q} --sha256 {params.sha256:q} "
        "--version={params.version:q} --begins={params.begins:q} --{params.required}required {resources.pace} "
        "--out {output.file:q} --receipt {output.receipt:q} 2> {log:q}"


rule list_entries:
    input:
        entries=source_file("pdb_entries"),
        obsolete=[source_file(name) for name in OBSOLETE],
        mutations=expand("<results>/parsed/{source}/mutations.parquet", source=MUTATIONS),
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
        "copra list-entries {input.entries:q} --obsolete {input.obsolete:q} "
        "--mutations {input.mutations:q} --shards {params.shards} --out {output:q} 2> {log:q}"


rule fetch_structures:
    input:
        "<results>/entries/wanted.parquet",
    output:
        expand("<results>/fetched/{shard}.parquet", shard=STRUCTURE_SHARDS),
    log:
        "<results>/logs/fetch_structures.log",
    localrule: True  # compute nodes often have no network
    conda:
        "../../envs/copra.yaml"
    resources:
        pace=PACE,
    params:
        shards=run.structures.shards,
        url=lambda wildcards: run.fetch.structure_urls,  # keeps {id} and {mid} as they are
        folder=f"{run.paths.raw}/structures",
        missing=run.fetch.missing_structures,
        out=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "copra fetch-structures {input:q} --shards {params.shards} --url {params.url:q} --folder {params.folder:q} "
        "{resources.pace} --missing {params.missing} --out {params.out:q} 2> {log:q}"
