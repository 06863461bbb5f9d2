# Transcription: one source row in, rows or a reject out. Nothing is judged here.


rule parse_affinity:
    input:
        file=lambda wildcards: source_file(wildcards.source),
        receipt=lambda wildcards: source_receipt(wildcards.source),
    output:
        measurements="<results>/parsed/{source}/measurements.parquet",
        rejects="<results>/parsed/{source}/rejects.parquet",
    log:
        "<results>/logs/parse_affinity/{source}.log",
    wildcard_constraints:
        source="|".join(AFFINITY) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("parse-affinity"),
        format=lambda wildcards: resolve_source(run, wildcards.source).format,
        version=lambda wildcards: resolve_source(run, wildcards.source).version,
    shell:
        "copra parse-affinity {input.file:q} --format {params.format:q} --source {wildcards.source} "
        "--version={params.version:q} --receipt {input.receipt:q} "
        "--measurements {output.measurements:q} --rejects {output.rejects:q} 2> {log:q}"


rule parse_mutations:
    input:
        file=lambda wildcards: source_file(wildcards.source),
        receipt=lambda wildcards: source_receipt(wildcards.source),
    output:
        mutations="<results>/parsed/{source}/mutations.parquet",
        rejects="<results>/parsed/{source}/rejects.parquet",
    log:
        "<results>/logs/parse_mutations/{source}.log",
    wildcard_constraints:
        source="|".join(MUTATIONS) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("parse-mutations"),
        format=lambda wildcards: resolve_source(run, wildcards.source).format,
        ddg_sign=lambda wildcards: resolve_source(run, wildcards.source).ddg_sign,
    shell:
        "copra parse-mutations {input.file:q} --format {params.format:q} --ddg-sign {params.ddg_sign:q} "
        "--source {wildcards.source} --receipt {input.receipt:q} --mutations {output.mutations:q} --rejects {output.rejects:q} 2> {log:q}"


rule parse_biolip2:
    input:
        file=lambda wildcards: source_file(wildcards.source),
        receipt=lambda wildcards: source_receipt(wildcards.source),
    output:
        pairs="<results>/parsed/{source}/pairs.parquet",
        rejects="<results>/parsed/{source}/rejects.parquet",
    log:
        "<results>/logs/parse_biolip2/{source}.log",
    wildcard_constraints:
        source="|".join(PAIRS) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("parse-biolip2"),
    shell:
        "copra parse-biolip2 {input.file:q} --source {wildcards.source} --receipt {input.receipt:q} "
        "--pairs {output.pairs:q} --rejects {output.rejects:q} 2> {log:q}"
