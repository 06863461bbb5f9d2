"""The tables on mutation effects: name -> (key, columns), as `copra.schemas.Table` has them."""

from __future__ import annotations

MUTATION_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # one row per mutation effect whose complex could be cut
    "mutation_records": (
        ("mutation_id",),
        (
            "mutation_id string", "source string", "part string", "pdb_id string", "complex_id string",
            "chain string", "molecule_type string", "mutation string", "mutation_kind string", "n_changes int",
            "polymer_indices string", "mutated_chains string", "wildtype_sha256 string", "mutant_sha256 string",
            "ddg_kcal_mol float", "temperature_k float?", "cluster string", "fold int?",
            "wild_type_records string", "related_records string", "in_interface bool",
        ),
    ),
    # one row per mutation, experiment, seed, model and way of training: what was said of the mutation's effect
    "mutation_predictions": (
        ("experiment", "seed", "fold", "training", "mutation_id"),
        (
            "experiment string", "kind string", "seed int", "fold int", "training string", "part string",
            "mutation_id string", "measured_ddg_kcal_mol float", "predicted_ddg_kcal_mol float?",
            "predicted_reverse_ddg_kcal_mol float?", "weights string", "architecture string", "failure string",
        ),
    ),
    # one row per experiment, way of training, subset, aggregate and metric, with its interval and a guesser's band
    "mutation_metrics": (
        ("experiment", "training", "subset", "aggregate", "metric"),
        (
            "experiment string", "kind string", "training string", "subset string", "aggregate string",
            "metric string", "value float?", "ci_low float?", "ci_high float?", "null_low float?",
            "null_high float?", "models_low float?", "models_high float?", "n_models int", "n_mutations int",
            "n_complexes int", "weights string", "architecture string", "status string", "note string",
        ),
    ),
    # one row per protein mutation and measured feature of where it lies in its complex
    "mutation_features": (
        ("mutation_id", "feature_set", "feature"),
        ("mutation_id string", "feature_set string", "feature string", "value float"),
    ),
    # one row per mutation: what a user's own FoldX says of it
    "mutation_foldx": (
        ("mutation_id",),
        (
            "mutation_id string", "status string", "wildtype_energy_kcal_mol float?", "mutant_energy_kcal_mol float?",
            "ddg_kcal_mol float?", "program string", "detail string",
        ),
    ),
}  # fmt: skip
