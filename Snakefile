# copra: from the sources' own files to the results table. Rooms stand in the order in which data flow.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "workflow/rules/common.smk"


pathvars:
    raw=run.paths.raw,
    results=run.paths.results,


include: "workflow/rules/fetch.smk"
include: "workflow/rules/parse.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/pri30k.smk"
include: "workflow/rules/pra310.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/mutation_inputs.smk"
include: "workflow/rules/mutation.smk"
include: "workflow/rules/mutation_baselines.smk"
include: "workflow/rules/table2.smk"
include: "workflow/rules/provenance.smk"
include: "workflow/rules/release.smk"


localrules:
    all,
    pri30k,
    pra310,
    embeddings,
    pretraining,
    models,


rule all:
    default_target: True
    input:
        rules.pri30k.input,
        rules.pra310.input,
        rules.embeddings.input,
        rules.pretraining.input,
        rules.models.input,
        expand("<results>/{table}/{table}.{kind}", table=MAIN, kind=["md", "tsv", "html"]),
        rules.table2.input,
        rules.report_leakage.output,
        rules.audit.output,
        rules.audit_predictions.output,
        rules.report.output,
