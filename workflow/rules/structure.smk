# Coordinates to arrays, in fixed shards of entries.


rule read_structures:
    input:
        "<results>/fetched/{shard}.parquet",
    output:
        store="<results>/structures/shards/{shard}/store.h5",
        entries="<results>/structures/shards/{shard}/entries.parquet",
        chains="<results>/structures/shards/{shard}/chains.parquet",
        contacts="<results>/structures/shards/{shard}/contacts.parquet",
    log:
        "<results>/logs/read_structures/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("read-structures"),
        contact_cutoff_angstrom=run.structures.contact_cutoff_angstrom,
    shell:
        "copra read-structures {input:q} --contact-cutoff-angstrom {params.contact_cutoff_angstrom} "
        "--store {output.store:q} --entries {output.entries:q} --chains {output.chains:q} "
        "--contacts {output.contacts:q} 2> {log:q}"


rule gather_structures:
    input:
        expand(
            "<results>/structures/shards/{shard}/{table}.parquet",
            shard=STRUCTURE_SHARDS,
            table=["entries", "chains", "contacts"],
        ),
    output:
        entries="<results>/structures/entries.parquet",
        chains="<results>/structures/chains.parquet",
        contacts="<results>/structures/contacts.parquet",
    log:
        "<results>/logs/gather_structures.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("gather-structures"),
        shards=lambda wildcards, input: sorted({os.path.dirname(path) for path in input}),
    shell:
        "copra gather-structures {params.shards:q} --entries {output.entries:q} "
        "--chains {output.chains:q} --contacts {output.contacts:q} 2> {log:q}"


rule apply_mutations:
    input:
        mutations=expand("<results>/parsed/{source}/mutations.parquet", source=MUTATIONS),
        stores=expand("<results>/structures/shards/{shard}/store.h5", shard=STRUCTURE_SHARDS),
        entries="<results>/structures/entries.parquet",
    output:
        mutants="<results>/structures/mutants.parquet",
        rejects="<results>/structures/mutant_rejects.parquet",
    log:
        "<results>/logs/apply_mutations.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("apply-mutations"),
    shell:
        "copra apply-mutations {input.mutations:q} --stores {input.stores:q} --entries {input.entries:q} "
        "--out {output.mutants:q} --rejects {output.rejects:q} 2> {log:q}"


rule build_interfaces:
    input:
        records="<results>/pra310/select/records.parquet",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        "<results>/interfaces/pra310/{shard}.h5",
    log:
        "<results>/logs/build_interfaces/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("build-interfaces"),
        interface_nodes=run.structures.interface_nodes,
    shell:
        "copra build-interfaces {input.records:q} --store {input.store:q} "
        "--interface-nodes {params.interface_nodes} --out {output:q} 2> {log:q}"


# the same, cut so wide that complexes are whole
use rule build_interfaces as build_whole_interfaces with:
    output:
        "<results>/interfaces/whole/{shard}.h5",
    log:
        "<results>/logs/build_whole_interfaces/{shard}.log",
    params:
        code=fingerprint("build-interfaces"),
        interface_nodes=run.structures.whole_complex_nodes,


rule measure_interfaces:
    input:
        records="<results>/pra310/select/records.parquet",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        "<results>/interfaces/features/{shard}.parquet",
    log:
        "<results>/logs/measure_interfaces/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("measure-interfaces"),
        contact_cutoff_angstrom=run.structures.contact_cutoff_angstrom,
    shell:
        "copra measure-interfaces {input.records:q} --store {input.store:q} "
        "--contact-cutoff-angstrom {params.contact_cutoff_angstrom} --out {output:q} 2> {log:q}"


rule score_foldx:
    input:
        records="<results>/pra310/select/records.parquet",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        "<results>/foldx/{shard}.parquet",
    log:
        "<results>/logs/score_foldx/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("score-foldx"),
        settings=as_json(run.foldx),
        folder=lambda wildcards, output: os.path.splitext(output[0])[0],
    shell:
        "copra score-foldx {input.records:q} --store {input.store:q} --settings {params.settings:q} "
        "--folder {params.folder:q} --out {output:q} 2> {log:q}"


rule build_pair_interfaces:
    input:
        pairs="<results>/pri30k/pri30k.parquet",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        interfaces="<results>/interfaces/pri30k/{shard}.h5",
        decisions="<results>/interfaces/pri30k/{shard}.decisions.parquet",
    log:
        "<results>/logs/build_pair_interfaces/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("build-pair-interfaces"),
        interface_nodes=run.structures.interface_nodes,
    shell:
        "copra build-pair-interfaces {input.pairs:q} --store {input.store:q} "
        "--interface-nodes {params.interface_nodes} --out {output.interfaces:q} "
        "--decisions {output.decisions:q} 2> {log:q}"
