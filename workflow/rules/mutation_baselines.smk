# Baselines of Table 2: where mutations lie is measured once per shard of structures, then each baseline is quick.


MUTATION_BASELINES = [
    name
    for name in TABLE2
    if run.mutations.experiments[name].kind in ("mean", "substitution_burial", "mcsm", "deepnap", "foldx")
]


rule measure_mutations:
    input:
        records="<results>/mutations/records.parquet",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        "<results>/mutations/features/{shard}.parquet",
    log:
        "<results>/logs/measure_mutations/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("measure-mutations"),
    shell:
        "copra measure-mutations {input.records:q} --store {input.store:q} --out {output:q} 2> {log:q}"


rule score_foldx_mutations:
    input:
        records="<results>/mutations/records.parquet",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        "<results>/mutations/foldx/{shard}.parquet",
    log:
        "<results>/logs/score_foldx_mutations/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("score-foldx-mutations"),
        settings=as_json(run.foldx),
        folder=lambda wildcards, output: os.path.splitext(output[0])[0],
    shell:
        "copra score-foldx-mutations {input.records:q} --store {input.store:q} --settings {params.settings:q} "
        "--folder {params.folder:q} --out {output:q} 2> {log:q}"


rule fit_mutation_baseline:
    input:
        records="<results>/mutations/records.parquet",
        features=mutation_shards("features", "substitution_burial", "mcsm"),
        energies=mutation_shards("foldx", "foldx"),
        mutants=full_sequences("mutants"),
        chains=full_sequences("chains"),
        package=base_package,
    output:
        "<results>/mutations/{experiment}/predictions.parquet",
    log:
        "<results>/logs/fit_mutation_baseline/{experiment}.log",
    wildcard_constraints:
        experiment="|".join(MUTATION_BASELINES) or "(?!)",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("fit-mutation-baseline"),
        experiment=lambda wildcards: as_json(run.mutations.experiments[wildcards.experiment]),
        seeds=run.evaluate.seeds,
        package=lambda wildcards, input: (
            f"--package {shlex.quote(os.path.dirname(str(input.package)))}" if input.package else ""
        ),
    shell:
        "copra fit-mutation-baseline {input.records:q} --name {wildcards.experiment} "
        "--experiment {params.experiment:q} --seeds {params.seeds} --features {input.features:q} "
        "--energies {input.energies:q} --mutants {input.mutants:q} --chains {input.chains:q} {params.package} "
        "--out {output:q} 2> {log:q}"
