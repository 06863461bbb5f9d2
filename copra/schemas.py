"""Every table the pipeline writes: its columns, their types and its key.

What each column means stands in resources/curation/columns.tsv (a test keeps the two equal).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from copra.schemas_mutation import MUTATION_TABLES

TYPES = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class Table:
    """Columns as `name type`, with a trailing `?` on the type where a value may be missing."""

    key: tuple[str, ...]
    columns: tuple[str, ...]

    def schema(self) -> pa.Schema:
        """The Arrow schema of the columns, in order."""
        fields = []
        for column in self.columns:
            name, kind = column.split()
            fields.append(pa.field(name, TYPES[kind.rstrip("?")], nullable=kind.endswith("?")))
        return pa.schema(fields)


# molecule types of chains that count as RNA: a hybrid holds at least one ribonucleotide
RNA_CHAIN_TYPES = ("rna", "hybrid")

# what a label says of its complex; a record carries it along
LABEL_COLUMNS = (
    "pdb_id string", "protein_chains string", "rna_chains string", "dg_kcal_mol float", "dg_298k_kcal_mol float",
    "kd_molar float", "dg_spread_kcal_mol float?", "temperature_k float", "temperature_assumed bool", "sources string",
    "measurement_ids string", "deciding_rule string", "label_grade string",
)  # fmt: skip

TABLES = {
    # one row per PDB entry that the entry list names
    "wanted_entries": Table(("pdb_id",), ("pdb_id string", "shard int", "replaces string")),
    # one row per wanted entry: what the fetch brought
    "fetched": Table(
        ("pdb_id",),
        ("pdb_id string", "status string", "path string", "url string", "sha256 string", "bytes int", "detail string"),
    ),
    # one row per affinity value that a source states, transcribed, not judged
    "measurements": Table(
        ("measurement_id",),
        (
            "measurement_id string", "source string", "source_version string", "source_row string",
            "file_sha256 string", "raw_text string", "pdb_id string", "protein_chains string",
            "rna_chains string", "quantity string", "relation string", "value float", "unit string",
            "uncertainty float?", "temperature_k float?", "ph float?", "method string", "pmid string",
            "mutation string", "nucleic_acid string", "parse_rule string", "comment string",
        ),
    ),
    # one row per mutation effect that a source states
    "mutations": Table(
        ("mutation_id",),
        (
            "mutation_id string", "source string", "source_row string", "file_sha256 string", "raw_text string",
            "pdb_id string", "chain string", "mutation string", "mutation_kind string",
            "ddg_mut_minus_wt_kcal_mol float", "temperature_k float?", "pmid string", "comment string",
        ),
    ),
    # one row per mutation effect that could be put into its chain: the mutated full sequence
    "mutants": Table(
        ("mutation_id",),
        (
            "mutation_id string", "source string", "pdb_id string", "chain string", "molecule_type string",
            "mutation string", "mutation_kind string", "polymer_indices string", "residue_names string",
            "same_sequence_chains string", "n_residues int", "wildtype_sha256 string", "mutant_sha256 string",
            "mutant_sequence string",
        ),
    ),
    # one row per source row that was not understood, and per mutation that could not be put into its chain
    "rejects": Table(
        ("source", "source_row", "reason"),
        ("source string", "source_row string", "raw_text string", "reason string", "detail string"),
    ),
    # one row per protein-RNA chain pair of BioLiP2
    "pairs": Table(
        ("pdb_id", "protein_chain", "rna_chain"),
        (
            "pdb_id string", "protein_chain string", "rna_chain string", "resolution_angstrom float?",
            "n_binding_residues int", "receptor_sequence string", "source_row string",
        ),
    ),
    # one row per wanted entry: what reading it gave
    "entries": Table(
        ("pdb_id",),
        (
            "pdb_id string", "status string", "reason string", "detail string", "file_sha256 string",
            "method string", "resolution_angstrom float?", "release_date string", "n_models int",
            "n_protein_chains int", "n_rna_chains int", "n_residues int", "n_atoms int", "handled string",
        ),
    ),
    # one row per protein, RNA, DNA or hybrid chain of an entry that was read
    "chains": Table(
        ("pdb_id", "chain"),
        (
            "pdb_id string", "chain string", "label_chains string", "molecule_type string",
            "sequence string", "sequence_sha256 string", "observed_sequence string", "n_residues int",
            "n_observed int", "n_modified int", "n_gaps int", "sequence_origin string",
        ),
    ),
    # one row per protein chain and RNA chain of an entry that touch
    "contacts": Table(
        ("pdb_id", "protein_chain", "rna_chain"),
        (
            "pdb_id string", "protein_chain string", "rna_chain string", "n_residue_contacts int",
            "min_distance_angstrom float", "n_atom_contacts int", "n_binding_residues int",
        ),
    ),
    # one row per pre-training pair
    "pri30k": Table(
        ("pair_id",),
        (
            "pair_id string", "pdb_id string", "protein_chain string", "rna_chain string", "component int",
            "origin string", "n_binding_residues int", "protein_sha256 string", "rna_sha256 string",
            "n_protein_residues int", "n_rna_nucleotides int", "n_protein_observed int", "n_rna_observed int",
            "case_safe_key string",
        ),
    ),
    # one row per pre-training pair that is built here, listed elsewhere, or both
    "diff_pri30k": Table(("pair_id",), ("pair_id string", "verdict string", "reason string", "evidence string")),
    # one row per complex that at least one measurement may describe
    "candidates": Table(
        ("candidate_id",),
        (
            "candidate_id string", "pdb_id string", "protein_chains string", "rna_chains string",
            "chains_origin string", "measurement_ids string", "n_measurements int",
        ),
    ),
    # one row per candidate whose label was decided
    "labels": Table(
        ("candidate_id",),
        ("candidate_id string", *LABEL_COLUMNS),
    ),
    # one row per pair of sources, and one for all pairs: how far they disagree
    "label_noise": Table(
        ("source", "other_source", "copies_left_out"),
        (
            "source string", "other_source string", "copies_left_out bool", "n_complexes int",
            "mean_difference_kcal_mol float", "sd_difference_kcal_mol float", "label_error_sd_kcal_mol float",
            "label_sd_kcal_mol float", "ceiling_pcc float",
        ),
    ),
    # one row per labelled complex with a structure: PRA310 as built here
    "records": Table(
        ("record_id",),
        (
            "record_id string", *LABEL_COLUMNS, "protein_sequences string", "rna_sequences string",
            "protein_sha256 string", "rna_sha256 string", "n_protein_chains int", "n_rna_chains int",
            "n_protein_residues int", "n_rna_nucleotides int", "in_pra201 bool", "in_dg_window bool",
        ),
    ),
    # one row per entry of the published PRA310, and per label of an entry that is not in it
    "diff_pra310": Table(
        ("pdb_id", "candidate_id"),
        (
            "pdb_id string", "candidate_id string", "verdict string", "reason string",
            "published_dg_kcal_mol float?", "dg_kcal_mol float?", "published_sources string", "sources string",
            "record string", "in_published_pra201 bool", "in_pra201 bool",
        ),
    ),
    # one row per judgement: what was decided on which subject, by which rule
    "decisions": Table(
        ("step", "subject", "rule"),
        (
            "step string", "subject string", "rule string", "verdict string", "before string", "after string",
            "evidence string", "note string",
        ),
    ),
    # one row per step and reason: how many rows went in and out
    "funnel": Table(
        ("dataset", "order", "reason"),
        ("dataset string", "order int", "step string", "reason string", "rows_in int", "rows_out int"),
    ),
    # one row per protein chain sequence of the records
    "clusters": Table(
        ("record_id",),
        ("record_id string", "cluster string", "protein_clusters string"),
    ),
    # one row per record and measured feature of its interface
    "interface_features": Table(
        ("record_id", "feature_set", "feature"),
        ("record_id string", "feature_set string", "feature string", "value float"),
    ),
    # one row per record: what a user's own FoldX says of it
    "foldx": Table(
        ("record_id",),
        (
            "record_id string", "status string", "interaction_energy_kcal_mol float?", "repaired bool",
            "program string", "detail string",
        ),
    ),
    # one row per record of a split
    "folds": Table(("record_id",), ("record_id string", "cluster string", "fold int")),
    # one row per two distinct sequences of the records, of one molecule type
    "identities": Table(
        ("molecule_type", "sequence_a", "sequence_b"),
        (
            "molecule_type string", "sequence_a string", "sequence_b string", "n_residues_a int",
            "n_residues_b int", "n_aligned int", "n_identical int", "score float", "identity float",
        ),
    ),
    # one row per split family and tested fold: what train and test share
    "leakage": Table(
        ("family", "fold"),
        (
            "family string", "fold int", "n_train int", "n_test int", "dg_mean_kcal_mol float",
            "dg_sd_kcal_mol float", "protein_identity_max float?", "protein_test_record string",
            "protein_train_record string", "n_test_protein_30 int", "n_test_protein_40 int",
            "n_test_protein_70 int", "n_test_protein_90 int", "n_test_same_protein int",
            "rna_identity_max float?", "rna_test_record string", "rna_train_record string",
            "n_test_rna_30 int", "n_test_rna_40 int", "n_test_rna_70 int", "n_test_rna_90 int",
            "n_test_same_rna int", "n_test_same_entry int", "n_pri30k_same_entry int",
            "n_pri30k_same_protein int", "n_pri30k_related_protein int", "n_pri30k_same_rna int",
        ),
    ),
    # one row per distinct sequence that a language model shall embed
    "sequences": Table(
        ("sequence_sha256", "molecule_type"),  # a peptide AAAA and an RNA AAAA have the same sha256
        ("sequence_sha256 string", "molecule_type string", "sequence string", "n_residues int", "shard int"),
    ),
    # one row per record, experiment, seed and fold: what the model said of a record it had not seen
    "predictions": Table(
        ("experiment", "seed", "fold", "record_id"),
        (
            "experiment string", "protocol string", "seed int", "fold int", "part string", "record_id string",
            "measured_dg_kcal_mol float", "predicted_dg_kcal_mol float?", "weights string",
            "architecture string", "failure string",
        ),
    ),
    # one row per record that a packaged model was trained on: its label, and what members that had not seen it say
    "training_set": Table(
        ("record_id",),
        (
            "record_id string", "fold int", "cluster string", "dg_kcal_mol float", "out_of_fold_dg_kcal_mol float?",
            "temperature_k float", "protein_sequences string", "rna_sequences string", "n_interface_residues int",
            "n_protein_residues int", "n_nucleotides int",
        ),
    ),
    # one row per experiment, subset, aggregate and metric, with its interval
    "metrics": Table(
        ("results_table", "split_family", "experiment", "subset", "aggregate", "metric"),
        (
            "results_table string", "split_family string", "experiment string", "protocol string", "subset string",
            "aggregate string", "metric string", "value float?", "ci_low float?", "ci_high float?", "n_records int",
            "n_clusters int", "n_seeds int", "weights string", "architecture string", "status string", "note string",
        ),
    ),
    # one row per two experiments of a results table, subset and metric: their difference on the same resamples
    "differences": Table(
        ("results_table", "split_family", "experiment", "reference", "subset", "metric"),
        (
            "results_table string", "split_family string", "experiment string", "reference string", "subset string",
            "metric string", "difference float?", "ci_low float?", "ci_high float?", "p_value float?",
            "p_holm float?", "resolution float?", "n_records int", "n_clusters int", "verdict string",
        ),
    ),
    # one row per experiment, subset and nominal coverage: what split-conformal intervals hold and how wide they are
    "intervals": Table(
        ("results_table", "split_family", "experiment", "subset", "method", "nominal_coverage"),
        (
            "results_table string", "split_family string", "experiment string", "subset string", "method string",
            "nominal_coverage float", "coverage float?", "ci_low float?", "ci_high float?",
            "mean_width_kcal_mol float?", "n_records int", "n_clusters int", "status string", "note string",
        ),
    ),
    # one row per pair that pre-training used: trained on, or held out with its cluster of proteins
    "pretraining_pairs": Table(("pair_id",), ("pair_id string", "cluster string", "part string")),
    # one row per question that is put to a pre-trained model on held-out pairs, metric and predictor
    "pretraining": Table(
        ("recipe", "scope", "task", "condition", "metric", "predictor"),
        (
            "recipe string", "scope string", "task string", "condition string", "metric string", "predictor string",
            "value float", "ci_low float", "ci_high float", "n_pairs int", "n_clusters int", "n_rna_seen int",
            "n_candidates float?", "architecture string", "weights string", "seed int",
        ),
    ),
    # one row per check of the audit
    "findings": Table(
        ("check", "subject"),
        ("check string", "subject string", "verdict string", "detail string"),
    ),
}  # fmt: skip

TABLES |= {name: Table(*parts) for name, parts in MUTATION_TABLES.items()}
