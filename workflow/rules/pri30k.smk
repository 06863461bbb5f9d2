# The pre-training pairs.


rule build_pri30k:
    input:
        pairs=expand("<results>/parsed/{source}/pairs.parquet", source=PAIRS),
        entries="<results>/structures/entries.parquet",
        chains="<results>/structures/chains.parquet",
        contacts="<results>/structures/contacts.parquet",
    output:
        pri30k="<results>/pri30k/pri30k.parquet",
        decisions="<results>/pri30k/decisions.parquet",
        funnel="<results>/pri30k/funnel.parquet",
    log:
        "<results>/logs/build_pri30k.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("build-pri30k"),
        settings=as_json(run.pri30k),
    shell:
        "copra build-pri30k --pairs {input.pairs:q} --entries {input.entries:q} --chains {input.chains:q} "
        "--contacts {input.contacts:q} --settings {params.settings:q} --out {output.pri30k:q} "
        "--decisions {output.decisions:q} --funnel {output.funnel:q} 2> {log:q}"


rule pri30k:
    input:
        "<results>/pri30k/pri30k.parquet",
