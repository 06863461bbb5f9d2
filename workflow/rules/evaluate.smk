# Metrics are recomputed from predictions; tables and the report from metrics.
PUBLISHED = os.path.join(CURATION, "paper_results.tsv")  # the paper's numbers, shown beside ours


rule evaluate:
    input:
        predictions=predictions_of,
        records="<results>/pra310/select/records.parquet",
        folds=folds_of,
        identities="<results>/split/identities.parquet",
    output:
        metrics="<results>/{place}evaluate/{table}/metrics.parquet",
        differences="<results>/{place}evaluate/{table}/differences.parquet",
        intervals="<results>/{place}evaluate/{table}/intervals.parquet",
    log:
        "<results>/{place}logs/evaluate/{table}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("evaluate"),
        experiments=lambda wildcards: experiments_json(TABLES[wildcards.table]),
        family=family_of,
        method=method_of,
        settings=as_json(run.evaluate),
    shell:
        "copra evaluate {input.predictions:q} --table {wildcards.table} --experiments {params.experiments:q} "
        "--family {params.family} --method {params.method} --records {input.records:q} --folds {input.folds:q} "
        "--identities {input.identities:q} --settings {params.settings:q} --metrics {output.metrics:q} "
        "--differences {output.differences:q} --intervals {output.intervals:q} 2> {log:q}"


rule write_table:
    input:
        metrics="<results>/evaluate/{table}/metrics.parquet",
        differences="<results>/evaluate/{table}/differences.parquet",
        intervals="<results>/evaluate/{table}/intervals.parquet",
        published=PUBLISHED,
        config="<results>/run.json",
    output:
        markdown="<results>/{table}/{table}.md",
        tsv="<results>/{table}/{table}.tsv",
        differences="<results>/{table}/differences.tsv",
    log:
        "<results>/logs/write_table/{table}.log",
    wildcard_constraints:
        table="|".join(run.evaluate.tables()),
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("write-table"),
        settings=as_json(run.evaluate),
    shell:
        "copra write-table {input.metrics:q} --table {wildcards.table} --differences {input.differences:q} "
        "--intervals {input.intervals:q} --settings {params.settings:q} --published {input.published:q} "
        "--config {input.config:q} --markdown {output.markdown:q} --tsv {output.tsv:q} "
        "--differences-tsv {output.differences:q} 2> {log:q}"


rule table_page:
    input:
        table="<results>/{table}/{table}.tsv",
        leakage=rules.report_leakage.output.table,
        audit="<results>/audit/findings.parquet",
        published=PUBLISHED,
        config="<results>/run.json",
    output:
        "<results>/{table}/{table}.html",
    log:
        "<results>/logs/table_page/{table}.log",
    wildcard_constraints:
        table="|".join(run.evaluate.tables()),
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("table-page"),
        results=lambda wildcards, input: os.path.dirname(input.config),
    shell:
        "copra table-page {params.results:q} --config {input.config:q} --table {wildcards.table} --out {output:q} 2> {log:q}"


rule report:
    input:
        tables=expand("<results>/{table}/{table}.tsv", table=MAIN),
        leakage=rules.report_leakage.output.table,
        mutations=["<results>/mutations/metrics.parquet"] if TABLE2 else [],
        families=expand("<results>/{place}evaluate/families/metrics.parquet", place=PLACES),
        audit="<results>/audit/findings.parquet",
        predictions="<results>/audit/prediction_findings.parquet",
        pretraining=rules.pretraining.input,
        published=PUBLISHED,
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
        tables=[*MAIN, *(["table2"] if TABLE2 else [])],
    shell:
        "copra report {params.results:q} --config {input.config:q} --tables {params.tables} --out {output:q} 2> {log:q}"


for _table in run.evaluate.tables():

    # the targets table1, table3, table4, figure3 and controls
    rule:
        name:
            _table
        input:
            expand("<results>/{table}/{table}.{kind}", table=_table, kind=["md", "tsv", "html"]),
        localrule: True
