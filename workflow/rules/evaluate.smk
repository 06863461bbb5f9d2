# Metrics are recomputed from predictions; tables and the report from metrics.


rule evaluate:
    input:
        predictions=predictions_of(run.evaluate.table1),
        records="<results>/pra310/select/records.parquet",
        folds="<results>/split/folds.parquet",
    output:
        "<results>/evaluate/metrics.parquet",
    log:
        "<results>/logs/evaluate.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("evaluate"),
        settings=as_json(run.evaluate),
    shell:
        "copra evaluate {input.predictions:q} --records {input.records:q} --folds {input.folds:q} "
        "--settings {params.settings:q} --out {output:q} 2> {log:q}"


rule table1:
    input:
        "<results>/evaluate/metrics.parquet",
    output:
        markdown="<results>/table1/table1.md",
        tsv="<results>/table1/table1.tsv",
    log:
        "<results>/logs/table1.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("table1"),
        settings=as_json(run.evaluate),
    shell:
        "copra table1 {input:q} --settings {params.settings:q} --markdown {output.markdown:q} "
        "--tsv {output.tsv:q} 2> {log:q}"


rule report:
    input:
        table="<results>/table1/table1.tsv",
        audit="<results>/audit/findings.parquet",
        predictions="<results>/audit/prediction_findings.parquet",
        pretraining=rules.pretraining.input,
        config="<results>/run.json",
    output:
        "<results>/report/report.html",
    log:
        "<results>/logs/report.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("report"),
        results=lambda wildcards, input: os.path.dirname(input.config),
    shell:
        "copra report {params.results:q} --config {input.config:q} --out {output:q} 2> {log:q}"
