# Judgement: measurements to labelled records, one decision row per step.


rule merge_measurements:
    input:
        measurements=expand("<results>/parsed/{source}/measurements.parquet", source=AFFINITY),
        entries="<results>/structures/entries.parquet",
        chains="<results>/structures/chains.parquet",
        contacts="<results>/structures/contacts.parquet",
    output:
        candidates="<results>/pra310/merge/candidates.parquet",
        decisions="<results>/pra310/merge/decisions.parquet",
        funnel="<results>/pra310/merge/funnel.parquet",
    log:
        "<results>/logs/merge_measurements.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("merge-measurements"),
        settings=as_json(run.pra310),
    shell:
        "copra merge-measurements {input.measurements:q} --entries {input.entries:q} --chains {input.chains:q} "
        "--contacts {input.contacts:q} --settings {params.settings:q} --candidates {output.candidates:q} "
        "--decisions {output.decisions:q} --funnel {output.funnel:q} 2> {log:q}"


rule calibrate_labels:
    input:
        candidates="<results>/pra310/merge/candidates.parquet",
        measurements=expand("<results>/parsed/{source}/measurements.parquet", source=AFFINITY),
        corrections=f"{CURATION}/corrections.yaml",
        literature=f"{CURATION}/literature.tsv",
    output:
        labels="<results>/pra310/calibrate/labels.parquet",
        noise="<results>/pra310/calibrate/label_noise.parquet",
        decisions="<results>/pra310/calibrate/decisions.parquet",
        funnel="<results>/pra310/calibrate/funnel.parquet",
    log:
        "<results>/logs/calibrate_labels.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("calibrate-labels"),
        settings=as_json(run.pra310),
    shell:
        "copra calibrate-labels {input.candidates:q} --measurements {input.measurements:q} "
        "--settings {params.settings:q} --corrections {input.corrections:q} --labels {output.labels:q} --noise {output.noise:q} "
        "--decisions {output.decisions:q} --funnel {output.funnel:q} 2> {log:q}"


rule select_records:
    input:
        labels="<results>/pra310/calibrate/labels.parquet",
        entries="<results>/structures/entries.parquet",
        chains="<results>/structures/chains.parquet",
        contacts="<results>/structures/contacts.parquet",
    output:
        records="<results>/pra310/select/records.parquet",
        decisions="<results>/pra310/select/decisions.parquet",
        funnel="<results>/pra310/select/funnel.parquet",
    log:
        "<results>/logs/select_records.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("select-records"),
        settings=as_json(run.pra310),
    shell:
        "copra select-records {input.labels:q} --entries {input.entries:q} --chains {input.chains:q} "
        "--contacts {input.contacts:q} --settings {params.settings:q} --records {output.records:q} "
        "--decisions {output.decisions:q} --funnel {output.funnel:q} 2> {log:q}"


rule pra310:
    input:
        "<results>/pra310/select/records.parquet",
        "<results>/split/folds.parquet",
