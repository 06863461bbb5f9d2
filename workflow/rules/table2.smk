# Table 2: effects of mutations. Metrics are recomputed from predictions; the pages from metrics.
# Nothing is made where no set of mutations is in use or no experiment is to be shown.


rule evaluate_mutations:
    input:
        predictions=expand("<results>/mutations/{experiment}/predictions.parquet", experiment=TABLE2),
        records="<results>/mutations/records.parquet",
    output:
        "<results>/mutations/metrics.parquet",
    log:
        "<results>/logs/evaluate_mutations.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("evaluate-mutations"),
        experiments=lambda wildcards: json.dumps(
            {name: run.mutations.experiments[name].model_dump() for name in TABLE2}
        ),
        settings=as_json(run.evaluate),
    shell:
        "copra evaluate-mutations {input.predictions:q} --records {input.records:q} "
        "--experiments {params.experiments:q} --settings {params.settings:q} --out {output:q} 2> {log:q}"


rule write_mutation_table:
    input:
        metrics="<results>/mutations/metrics.parquet",
        records="<results>/mutations/records.parquet",
        predictions=expand("<results>/mutations/{experiment}/predictions.parquet", experiment=TABLE2),
        published=PUBLISHED,
        config="<results>/run.json",
    output:
        markdown="<results>/table2/table2.md",
        tsv="<results>/table2/table2.tsv",
        html="<results>/table2/table2.html",
    log:
        "<results>/logs/write_mutation_table.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("write-mutation-table"),
        experiments=TABLE2,
        settings=as_json(run.evaluate),
    shell:
        "copra write-mutation-table {input.metrics:q} --records {input.records:q} "
        "--predictions {input.predictions:q} --experiments {params.experiments} "
        "--settings {params.settings:q} --published {input.published:q} --config {input.config:q} "
        "--markdown {output.markdown:q} --tsv {output.tsv:q} --html {output.html:q} 2> {log:q}"


rule table2:
    input:
        expand("<results>/table2/table2.{kind}", kind=["md", "tsv", "html"]) if TABLE2 else [],
    localrule: True
