# The datasets as a folder to give away.


rule release:
    input:
        records="<results>/pra310/select/records.parquet",
        mutations=expand("<results>/parsed/{source}/mutations.parquet", source=MUTATIONS),
        pri30k="<results>/pri30k/pri30k.parquet",
        folds="<results>/split/folds.parquet",
        families=expand("<results>/split/families/{family}.tsv", family=COMPARED),
        leakage="<results>/split/leakage.parquet",
        sources=f"{CURATION}/sources.tsv",
        columns=f"{CURATION}/columns.tsv",
        # what fails its audit is not given away
        audit="<results>/audit/findings.parquet",
        config="<results>/run.json",
    output:
        card="<results>/release/DATA_CARD.md",
        metadata="<results>/release/ro-crate-metadata.json",
    log:
        "<results>/logs/release.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("release"),
        results=lambda wildcards, input: os.path.dirname(input.config),
        out=lambda wildcards, output: os.path.dirname(output.card),
    shell:
        "copra release {params.results:q} --config {input.config:q} --out {params.out:q} 2> {log:q}"
