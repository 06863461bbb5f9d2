# Pre-training: one run per recipe that an experiment of table1 and its controls starts from, and per test fold.
# Scope fold_k: pairs without relatives of the test fold k; all: every pair, as in the paper.


wildcard_constraints:
    recipe="[A-Za-z0-9_]+",
    scope=r"all|fold_\d+",


rule measure_distances:
    input:
        interfaces="<results>/interfaces/pri30k/{shard}.h5",
        store="<results>/structures/shards/{shard}/store.h5",
    output:
        "<results>/interfaces/pri30k_distances/{shard}.h5",
    log:
        "<results>/logs/measure_distances/{shard}.log",
    conda:
        "../../envs/copra.yaml"
    params:
        code=fingerprint("measure-distances"),
    shell:
        "copra measure-distances {input.interfaces:q} --store {input.store:q} --out {output:q} 2> {log:q}"


rule pretrain:
    input:
        pri30k="<results>/pri30k/pri30k.parquet",
        kept=kept_pairs,
        chains="<results>/structures/chains.parquet",
        interfaces=expand("<results>/interfaces/pri30k/{shard}.h5", shard=STRUCTURE_SHARDS),
        distances=distances_of_recipe,
        protein_embeddings=recipe_embeddings("protein_lm"),
        rna_embeddings=recipe_embeddings("rna_lm"),
    output:
        model="<results>/pretrain/{recipe}/{scope}/model.safetensors",
        description="<results>/pretrain/{recipe}/{scope}/model.json",
        metrics="<results>/pretrain/{recipe}/{scope}/metrics.jsonl",
        pairs="<results>/pretrain/{recipe}/{scope}/pairs.parquet",
    log:
        "<results>/logs/pretrain/{recipe}/{scope}.log",
    conda:
        "../../envs/copra.yaml"
    threads: 4
    resources:
        gpu=run.pretraining.ranks,
        # how the processes are started; a profile may put srun in its place, see copra/train/ranks.py
        launcher=(
            f"torchrun --standalone --no-python --nproc-per-node {run.pretraining.ranks}"
            if run.pretraining.ranks > 1
            else ""
        ),
    params:
        code=fingerprint("pretrain"),
        recipe=recipe_json,
        held_out=as_json(run.pretraining.held_out),
        seed=run.seed,
        kept=lambda wildcards, input: f"--kept {shlex.quote(str(input.kept))}" if input.kept else "",
        max_pairs=f"--max-pairs {run.pretraining.max_pairs}" if run.pretraining.max_pairs else "",
        checkpoint=lambda wildcards, output: os.path.join(os.path.dirname(output.model), "checkpoint"),
    shell:
        "COPRA_LAUNCHER={resources.launcher:q} copra pretrain {input.pri30k:q} {params.kept} --chains {input.chains:q} "
        "--interfaces {input.interfaces:q} --distances {input.distances:q} "
        "--protein-embeddings {input.protein_embeddings:q} --rna-embeddings {input.rna_embeddings:q} "
        "--name {wildcards.recipe} --scope {wildcards.scope} --recipe {params.recipe:q} "
        "--held-out {params.held_out:q} {params.max_pairs} --seed {params.seed} --threads {threads} "
        "--checkpoint {params.checkpoint:q} --model {output.model:q} --description {output.description:q} "
        "--metrics {output.metrics:q} --pairs {output.pairs:q} 2> {log:q}"


rule evaluate_pretraining:
    input:
        model="<results>/pretrain/{recipe}/{scope}/model.safetensors",
        description="<results>/pretrain/{recipe}/{scope}/model.json",
        pairs="<results>/pretrain/{recipe}/{scope}/pairs.parquet",
        pri30k="<results>/pri30k/pri30k.parquet",
        interfaces=expand("<results>/interfaces/pri30k/{shard}.h5", shard=STRUCTURE_SHARDS),
        distances=distances_of_recipe,
        protein_embeddings=recipe_embeddings("protein_lm"),
        rna_embeddings=recipe_embeddings("rna_lm"),
    output:
        "<results>/pretrain/{recipe}/{scope}/evaluation.parquet",
    log:
        "<results>/logs/evaluate_pretraining/{recipe}/{scope}.log",
    conda:
        "../../envs/copra.yaml"
    resources:
        gpu=1,
    params:
        code=fingerprint("evaluate-pretraining"),
        held_out=as_json(run.pretraining.held_out),
        bootstrap_samples=run.evaluate.bootstrap_samples,
        confidence=run.evaluate.confidence,
    shell:
        "copra evaluate-pretraining {input.model:q} --description {input.description:q} --pairs {input.pairs:q} "
        "--pri30k {input.pri30k:q} --interfaces {input.interfaces:q} --distances {input.distances:q} "
        "--protein-embeddings {input.protein_embeddings:q} --rna-embeddings {input.rna_embeddings:q} "
        "--held-out {params.held_out:q} --bootstrap-samples {params.bootstrap_samples} "
        "--confidence {params.confidence} --out {output:q} 2> {log:q}"


rule pretraining:
    input:
        expand("<results>/pretrain/{recipe}/{scope}/evaluation.parquet", recipe=RECIPES, scope=SCOPES),
