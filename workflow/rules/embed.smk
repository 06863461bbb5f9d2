# Each distinct sequence goes once through a language model.


rule list_sequences:
    input:
        chains="<results>/structures/chains.parquet",
        records="<results>/pra310/select/records.parquet",
        pri30k="<results>/pri30k/pri30k.parquet",
        mutants="<results>/structures/mutants.parquet",
    output:
        "<results>/embeddings/sequences.parquet",
    log:
        "<results>/logs/list_sequences.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("list-sequences"),
        shards=run.embed.shards,
    shell:
        "copra list-sequences {input.chains:q} --records {input.records:q} --pri30k {input.pri30k:q} "
        "--mutants {input.mutants:q} --shards {params.shards} --out {output:q} 2> {log:q}"


rule embed_sequences:
    input:
        sequences="<results>/embeddings/sequences.parquet",
        weights=weights_file,
        receipt=lambda wildcards: [f"{path}.receipt.json" for path in [weights_file(wildcards)] if path],
    output:
        "<results>/embeddings/{language_model}/{shard}.h5",
    log:
        "<results>/logs/embed_sequences/{language_model}/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: memory_mb(
            run.language_models[wildcards.language_model], run.embed.max_tokens_per_batch, attempt
        ),
    params:
        code=fingerprint("embed-sequences"),
        model=lambda wildcards: as_json(run.language_models[wildcards.language_model]),
        settings=as_json(run.embed),
        # finished batches; no output, so that snakemake does not take them away before a job that goes on
        parts=os.path.join(run.paths.raw, "embeddings"),
        weights=lambda wildcards, input: (
            f"--weights {shlex.quote(str(input.weights))} --receipt {shlex.quote(str(input.receipt))}"
            if input.weights
            else ""
        ),
    shell:
        "copra embed-sequences {input.sequences:q} --shard {wildcards.shard} --name {wildcards.language_model} "
        "--model {params.model:q} {params.weights} --settings {params.settings:q} --parts {params.parts:q} "
        "--out {output:q} 2> {log:q}"


rule embeddings:
    input:
        "<results>/embeddings/sequences.parquet",
        expand(
            "<results>/embeddings/{language_model}/{shard}.h5",
            language_model=LANGUAGE_MODELS,
            shard=range(run.embed.shards),
        ),
