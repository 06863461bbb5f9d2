# Every number walked back to its source.


rule describe_run:
    output:
        "<results>/run.json",
    log:
        "<results>/logs/describe_run.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("describe-run"),
        config=lambda wildcards: as_json(run),
    shell:
        "copra describe-run --config {params.config:q} --out {output:q} 2> {log:q}"


rule audit:
    input:
        receipts=[source_receipt(name) for name in SOURCES],
        mutations=expand("<results>/parsed/{source}/mutations.parquet", source=MUTATIONS),
        mutants="<results>/structures/mutants.parquet",
        interfaces=expand("<results>/interfaces/pra310/{shard}.h5", shard=STRUCTURE_SHARDS),
        pri30k="<results>/pri30k/pri30k.parquet",
        folds="<results>/split/folds.parquet",
        config="<results>/run.json",
    output:
        findings="<results>/audit/findings.parquet",
        page="<results>/audit/audit.html",
    log:
        "<results>/logs/audit.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("audit"),
        results=lambda wildcards, input: os.path.dirname(input.config),
    shell:
        "copra audit {params.results:q} --config {input.config:q} --findings {output.findings:q} "
        "--page {output.page:q} 2> {log:q}"


rule audit_predictions:
    input:
        metrics=expand("<results>/evaluate/{table}/metrics.parquet", table=MAIN),
        config="<results>/run.json",
    output:
        findings="<results>/audit/prediction_findings.parquet",
        page="<results>/audit/predictions.html",
    log:
        "<results>/logs/audit_predictions.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("audit-predictions"),
        results=lambda wildcards, input: os.path.dirname(input.config),
    shell:
        "copra audit-predictions {params.results:q} --config {input.config:q} --findings {output.findings:q} "
        "--page {output.page:q} 2> {log:q}"
