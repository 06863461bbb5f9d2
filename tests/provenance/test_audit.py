from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import pandas as pd
import pytest
import sample_results
import yaml

from copra.config_file import parse_config
from copra.embed.shard import embed_sequences
from copra.files import sha256_of_text
from copra.provenance.audit import audit, audit_predictions
from copra.provenance.checks import CHECKS, PREDICTION_CHECKS, predictions_cover
from copra.provenance.results import evaluated, load_run
from copra.structure.store import write_interfaces
from copra.tables import TABLES, empty_table, read_table, write_table

Fault = Callable[[Path], None]


@pytest.fixture(scope="session")
def whole(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    sample.write_results(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of the whole run that a test may damage."""
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    text = (copy / "results/run.json").read_text().replace(str(whole), str(copy))
    (copy / "results/run.json").write_text(text)
    return copy


def run_audit(folder: Path) -> tuple[int, pd.DataFrame]:
    """Both audits of a run: the higher code and all findings."""
    results = folder / "results"
    codes, tables = [], []
    for name, page, check in (("findings", "audit", audit), ("prediction_findings", "predictions", audit_predictions)):
        findings = results / f"audit/{name}.parquet"
        page_path = results / f"audit/{page}.html"
        codes.append(check(results, config=results / "run.json", findings=findings, page=page_path))
        tables.append(read_table(findings, "findings"))
    return max(codes), pd.concat(tables, ignore_index=True)


def edit(path: str, name: str, column: str, value: object, row: int = 0) -> Fault:
    def fault(folder: Path) -> None:
        frame = read_table(folder / path, name)
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        write_table(frame.infer_objects(), folder / path, name)

    return fault


def drop(path: str, name: str) -> Fault:
    def fault(folder: Path) -> None:
        write_table(read_table(folder / path, name).iloc[1:], folder / path, name)

    return fault


def tamper(folder: Path) -> None:
    path = folder / "raw/sources/pdb_entries/entries.txt"
    path.write_text(path.read_text().replace("1a00", "1a01"))


def tamper_with_cells(folder: Path) -> None:
    path = folder / "raw/sources/prbabv2/prbabv2.csv"
    path.write_bytes(path.read_bytes().replace(b"1A00", b"1A01"))


def measurement_of_no_file(folder: Path) -> None:
    """A measurement that is accounted for in every table but comes from nowhere."""
    row = read_table(folder / PARSED, "measurements").iloc[:1]
    row = row.assign(measurement_id="ghost:1", source="ghost", file_sha256="0" * 64)
    write_table(row, folder / "results/parsed/ghost/measurements.parquet", "measurements")
    path = folder / "results/pra310/merge/decisions.parquet"
    decisions = read_table(path, "decisions")
    write_table(pd.concat([decisions, decisions.assign(subject="ghost:1")]), path, "decisions")


def reject_twice(folder: Path) -> None:
    rejects = read_table(folder / "results/parsed/prbabv2/rejects.parquet", "rejects").assign(source="ghost")
    twice = pd.concat([rejects, rejects.assign(reason="another")])
    write_table(twice, folder / "results/parsed/ghost/rejects.parquet", "rejects")


def shift_label(folder: Path) -> None:
    """A label that no longer follows from its measurement, with every other sum in order."""
    for path, name in ((LABELS, "labels"), (RECORDS, "records")):
        frame = read_table(folder / path, name)
        frame.loc[0, "label_grade"] = "A"
        write_table(frame, folder / path, name)


def reject_understood(folder: Path) -> None:
    path = folder / "results/parsed/prbabv2/rejects.parquet"
    write_table(read_table(path, "rejects").assign(source_row="000002"), path, "rejects")


def cluster_in_two_folds(folder: Path) -> None:
    frame = read_table(folder / FOLDS, "folds")
    write_table(frame.assign(cluster=["x", "x", *frame["cluster"][2:]]), folder / FOLDS, "folds")


def protein_cluster_in_two_folds(folder: Path) -> None:
    path = folder / "results/split/clusters.parquet"
    frame = read_table(path, "clusters")
    write_table(frame.assign(protein_clusters=["x,y", "y,z", *frame["protein_clusters"][2:]]), path, "clusters")


def no_interfaces(folder: Path) -> None:
    write_interfaces([], folder / "results/interfaces/pra310/0.h5")


def outdated_correction(folder: Path) -> None:
    (folder / "curation/corrections.yaml").write_text(
        "corrections:\n  - subject: 1a00:A:B\n    value: {kd_molar: 1.0e-9, temperature_k: null}\n"
        "    expect: {source: prbabv2, quantity: Kd, value: 1.0}\n"
        "    reason: a value that nobody states\n    evidence: none of any kind\n"
    )


def implausible_source(folder: Path) -> None:
    """A whole run whose source states a Kd of several mol/l: every sum is right."""
    shutil.rmtree(folder)
    sample_results.write_results(folder, first_dg=0.9)


def no_licence(folder: Path) -> None:
    path = folder / "curation/sources.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    column = lines[0].index("licence")
    for cells in lines:
        cells[column] = "" if cells[0] == "prbabv2" else cells[column]
    path.write_text("\n".join("\t".join(cells) for cells in lines) + "\n")


def broken_table(folder: Path) -> None:
    (folder / "results/structures/contacts.parquet").write_bytes(b"no table")


def with_embeddings(folder: Path, weights: str = "random:0") -> Path:
    """Let an experiment of the run use two language models, with whole embeddings; returns their folder."""
    path = folder / "results/run.json"
    said = json.loads(path.read_text())
    full = yaml.safe_load((Path(sample_results.__file__).parents[1] / "config.yaml").read_text())
    lms = {"protein_lm": "esm2_random", "rna_lm": "rinalmo_random"}
    said["config"]["experiments"]["coformer"] = full["experiments"]["coformer_scratch"] | lms
    said["config"]["embed"]["shards"] = 2
    path.write_text(json.dumps(said))
    records = read_table(folder / RECORDS, "records")
    texts = {("protein", s) for s in records["protein_sequences"]} | {("rna", s) for s in records["rna_sequences"]}
    rows = [(sha256_of_text(s), kind, s, len(s), int(sha256_of_text(s)[0], 16) % 2) for kind, s in sorted(texts)]
    table = pd.DataFrame(rows, columns=TABLES["sequences"].schema().names)
    embeddings = folder / "results/embeddings"
    write_table(table, embeddings / "sequences.parquet", "sequences")
    config = parse_config(said["config"])
    for name in lms.values():
        model = config.language_models[name].model_copy(update={"weights": weights})
        for shard in range(2):
            embed_sequences(
                embeddings / "sequences.parquet", shard=shard, name=name, model=model, settings=config.embed,
                out=embeddings / name / f"{shard}.h5",
            )  # fmt: skip
    return embeddings


def embeddings_of_a_regressor_lost(folder: Path) -> None:
    """A classical model reads embeddings too."""
    (with_embeddings(folder) / "rinalmo_random/0.h5").unlink()
    path = folder / "results/run.json"
    said = json.loads(path.read_text())
    full = yaml.safe_load((Path(sample_results.__file__).parents[1] / "config.yaml").read_text())
    said["config"]["experiments"]["coformer"] = full["experiments"]["lm_svr"] | {
        "protein_lm": "esm2_random", "rna_lm": "rinalmo_random"
    }  # fmt: skip
    path.write_text(json.dumps(said))


def control_not_whole(folder: Path) -> None:
    """A table beside table1 that was evaluated and then lost a file."""
    path = folder / "results/run.json"
    said = json.loads(path.read_text())
    said["config"]["evaluate"]["controls"] = ["coformer"]
    path.write_text(json.dumps(said))
    for source in (folder / "results/train/coformer").glob("seed_*/fold_*/predictions.parquet"):
        rows = read_table(source, "predictions").assign(experiment="coformer_shuffled")
        write_table(rows, Path(str(source).replace("/coformer/", "/coformer_shuffled/")), "predictions")
    sample_results.score_results(folder, "controls")
    (folder / "results/train/coformer_shuffled/seed_2/fold_4/predictions.parquet").unlink()


def says_it_failed(folder: Path, failure: str) -> None:
    path = folder / PREDICTIONS
    rows = read_table(path, "predictions")
    write_table(rows.assign(predicted_dg_kcal_mol=float("nan"), failure=failure), path, "predictions")


def damaged_embeddings(folder: Path) -> None:
    path = with_embeddings(folder) / "esm2_random/0.h5"
    with h5py.File(path) as file:
        at = file["embedding"].id.get_offset() + 100
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def embeddings_cut_short(folder: Path) -> None:
    path = with_embeddings(folder) / "rinalmo_random/1.h5"
    path.write_bytes(path.read_bytes()[:-200])


def no_embeddings(folder: Path) -> None:
    (with_embeddings(folder) / "esm2_random/1.h5").unlink()


def embeddings_of_other_weights(folder: Path) -> None:
    with_embeddings(folder, "random:7")


def sequence_not_embedded(folder: Path) -> None:
    path = with_embeddings(folder) / "sequences.parquet"
    table = read_table(path, "sequences")
    more = table.iloc[:1].assign(sequence="MK", sequence_sha256=sha256_of_text("MK"), molecule_type="protein")
    write_table(pd.concat([table, more]), path, "sequences")


def residue_not_embedded(folder: Path) -> None:
    path = with_embeddings(folder) / "sequences.parquet"
    table = read_table(path, "sequences")
    table.loc[0, "sequence"] = table.loc[0, "sequence"] + "A"
    write_table(table, path, "sequences")


def with_mutants(folder: Path, **changes: object) -> None:
    """Two stated mutations, one a mutant and one refused; `changes` are other values of the mutant's row."""
    chain = sample_results.protein(0)
    sequence = f"{chain[:4]}{'A' if chain[4] != 'A' else 'G'}{chain[5:]}"
    said = {"source": "mcsm_blind", "pdb_id": "1a00", "chain": "A", "mutation_kind": "single"}
    said |= {"mutation": f"{chain[4]}5{sequence[4]}"}
    rows = [sample_results.fill("mutations", mutation_id=f"mcsm_blind:{i}", source_row=str(i), **said) for i in (1, 2)]
    sample_results.put(folder / "results/parsed/mcsm_blind/mutations.parquet", "mutations", rows)
    mutant = said | {
        "mutation_id": "mcsm_blind:1", "molecule_type": "protein", "polymer_indices": "4", "n_residues": len(chain),
        "wildtype_sha256": sha256_of_text(chain), "mutant_sha256": sha256_of_text(sequence),
        "mutant_sequence": sequence,
    } | changes  # fmt: skip
    sample_results.put(folder / MUTANTS, "mutants", [sample_results.fill("mutants", **mutant)])
    refused = sample_results.fill("rejects", source="mcsm_blind", source_row="2", reason="no_residue")
    sample_results.put(folder / MUTANT_REJECTS, "rejects", [refused])


def mutant_with(**changes: object) -> Fault:
    return lambda folder: with_mutants(folder, **changes)


def mutation_lost(folder: Path) -> None:
    with_mutants(folder)
    drop(MUTANT_REJECTS, "rejects")(folder)


def mutation_twice(folder: Path) -> None:
    with_mutants(folder)
    edit(MUTANT_REJECTS, "rejects", "source_row", "1")(folder)


def another_residue_mutated(folder: Path) -> None:
    chain = sample_results.protein(0)
    sequence = f"{'A' if chain[0] != 'A' else 'G'}{chain[1:]}"
    with_mutants(folder, mutant_sequence=sequence, mutant_sha256=sha256_of_text(sequence))


MUTANTS = "results/structures/mutants.parquet"
MUTANT_REJECTS = "results/structures/mutant_rejects.parquet"
PARSED = "results/parsed/prbabv2/measurements.parquet"
LABELS = "results/pra310/calibrate/labels.parquet"
RECORDS = "results/pra310/select/records.parquet"
FOLDS = "results/split/folds.parquet"
PREDICTIONS = "results/train/forest/seed_1/fold_0/predictions.parquet"

FAULTS: list[tuple[str, Fault, str]] = [
    ("source_bytes", tamper, "pdb_entries/entries.txt"),
    ("measurements_of_files", measurement_of_no_file, "no receipt names"),
    ("licences_stated", no_licence, "prbabv2 sources.tsv states no licence"),
    ("tables_reparsed", edit(PARSED, "measurements", "ph", 7.5), "ph is 7.5, the file gives 7.0"),
    ("tables_reparsed", tamper_with_cells, "its receipt says sha256"),
    ("corrections_live", outdated_correction, "review this line"),
    ("rows_conserved", reject_twice, "rows rejected twice"),
    ("rows_conserved", reject_understood, "both understood and rejected: 000002"),
    ("measurements_conserved", drop("results/pra310/merge/decisions.parquet", "decisions"), "prbabv2:000022"),
    ("measurements_conserved", drop(RECORDS, "records"), "1a00:A:B"),
    ("dg_recomputed", edit(RECORDS, "records", "dg_298k_kcal_mol", -5.0), "1a00:A:B"),
    ("dg_recomputed", edit(LABELS, "labels", "dg_kcal_mol", -5.0), "1a00:A:B"),
    ("dg_recomputed", edit(RECORDS, "records", "kd_molar", -1.0), "has no dG"),
    ("labels_rederived", shift_label, "label_grade is 'A'"),
    ("labels_rederived", edit(RECORDS, "records", "deciding_rule", "guess"), "deciding_rule is 'guess'"),
    ("sequences_match", edit(RECORDS, "records", "protein_sequences", "AAAA"), "is not that of the structure"),
    ("sequences_match", drop("results/structures/chains.parquet", "chains"), "no chain A"),
    ("chains_touch", drop("results/structures/contacts.parquet", "contacts"), "1a00:A:B"),
    ("chains_touch", broken_table, "not a readable Parquet file"),
    ("interfaces_present", no_interfaces, "1a00:A:B"),
    ("interfaces_present", edit(RECORDS, "records", "protein_sha256", "0" * 64), "not those of the record"),
    ("mutants_differ", another_residue_mutated, "differs from the chain, expected"),
    ("mutants_differ", mutant_with(polymer_indices="5"), "differs from the chain, expected"),
    ("mutants_differ", mutant_with(polymer_indices="4,5"), "differs from the chain, expected"),
    ("mutants_differ", mutant_with(mutation="W1A"), "W1A of chain A; the source says"),
    ("mutants_differ", mutant_with(mutant_sha256="0" * 64), "mutant_sha256 is not that of the sequence"),
    ("mutants_differ", mutant_with(wildtype_sha256="0" * 64), "wildtype_sha256 is not that of the sequence"),
    ("mutants_differ", mutant_with(chain="Z"), "the structure has no chain Z"),
    ("mutants_differ", mutant_with(n_residues=3), "60 residues"),
    ("mutants_differ", mutant_with(mutation_id="ghost"), "ghost a mutant of no stated mutation"),
    ("mutants_differ", mutation_lost, "mcsm_blind:2 neither a mutant nor refused"),
    ("mutants_differ", mutation_twice, "both a mutant and refused"),
    ("split_whole", cluster_in_two_folds, "cluster x"),
    ("split_whole", protein_cluster_in_two_folds, "protein cluster y"),
    ("split_whole", drop(FOLDS, "folds"), "record without a fold"),
    (
        "predictions_cover",
        drop(PREDICTIONS, "predictions"),
        "table1: forest seed 1: 1 of 20 records not predicted: 1a00",
    ),
    ("predictions_cover", control_not_whole, "controls: coformer_shuffled seed 2: 4 of 20 records"),
    ("embeddings_whole", damaged_embeddings, "esm2_random/0.h5 its content has sha256"),
    ("embeddings_whole", embeddings_cut_short, "rinalmo_random/1.h5"),
    ("embeddings_whole", no_embeddings, "esm2_random/1.h5"),
    ("embeddings_whole", embeddings_of_a_regressor_lost, "rinalmo_random/0.h5"),
    ("embeddings_whole", embeddings_of_other_weights, "weights is random:7, that of this run is random:0"),
    ("embeddings_whole", sequence_not_embedded, "1 sequences are not embedded"),
    ("embeddings_whole", residue_not_embedded, "another number of rows than residues"),
    ("plausible", implausible_source, "outside -20 to 0"),
    ("plausible", edit(RECORDS, "records", "temperature_k", 400.0), "outside 273 to 373 K"),
]


def test_a_whole_run_passes_every_check(folder: Path) -> None:
    code, findings = run_audit(folder)
    assert code == 0
    assert set(findings["verdict"]) <= {"pass", "note"}
    assert set(findings["check"]) == {check.__name__ for check in CHECKS + PREDICTION_CHECKS}
    missing = findings[(findings["check"] == "source_bytes") & (findings["verdict"] == "note")]
    assert missing["subject"].tolist() == ["prdbv3/prdbv3.csv"]


def test_whole_embeddings_pass(folder: Path) -> None:
    with_embeddings(folder)
    code, findings = run_audit(folder)
    assert code == 0
    row = findings[findings["check"] == "embeddings_whole"].iloc[0]
    assert (row["verdict"], row["detail"]) == (
        "pass", "22 sequences, 2 language models: esm2_random, rinalmo_random"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("diverged: the loss of epoch 3 is nan", "failed: seed 1, fold 0: diverged: the loss of epoch 3 is nan"),
        ("skipped: no program", "skipped: no program"),
    ],
)
def test_a_model_that_says_why_it_has_no_predictions_is_noted(folder: Path, failure: str, words: str) -> None:
    says_it_failed(folder, failure)
    findings = predictions_cover(load_run(folder / "results", folder / "results/run.json"))
    assert [(f.verdict, f.subject, f.detail) for f in findings if f.verdict != "pass"] == [
        ("note", "table1: forest", words)
    ]


def test_predictions_on_other_split_families_are_checked(folder: Path) -> None:
    path = folder / "results/run.json"
    said = json.loads(path.read_text())
    said["config"]["evaluate"]["by_family"] = {"families": ["protein30"], "experiments": ["forest"]}
    path.write_text(json.dumps(said))
    place = folder / "results/by_family/protein30"
    shutil.copytree(folder / "results/train/forest", place / "train/forest")
    (folder / "results/split/families").mkdir()
    shutil.copy(folder / FOLDS, folder / "results/split/families/protein30.parquet")
    run = load_run(folder / "results", path)
    assert [part.title for part in evaluated(run)] == ["table1"]
    write_table(empty_table("metrics"), place / "evaluate/families/metrics.parquet", "metrics")
    assert [part.title for part in evaluated(run)] == ["table1", "families (protein30)"]
    assert [f.detail for f in predictions_cover(run)] == ["160 predictions of 3 experiments"]
    (place / "train/forest/seed_2/fold_1/predictions.parquet").unlink()
    (finding,) = predictions_cover(run)
    assert (finding.verdict, finding.subject) == ("fail", "families (protein30): forest")


def test_mutants_that_differ_where_stated_pass(folder: Path) -> None:
    with_mutants(folder)
    code, findings = run_audit(folder)
    assert code == 0
    row = findings[findings["check"] == "mutants_differ"].iloc[0]
    assert (row["verdict"], row["detail"]) == ("pass", "1 mutants of 2 stated mutations, 1 refused with a reason")


def test_counts_that_differ_are_notes(folder: Path) -> None:
    _, findings = run_audit(folder)
    row = findings[findings["subject"] == "pra310_records"].iloc[0]
    assert (row["verdict"], row["detail"].split(":")[0]) == ("note", "found 20, expected 310")


# the first fault of each check in FAULTS is one that no other check sees
ALONE = {name: fault for name, fault, _ in reversed(FAULTS)}


@pytest.mark.parametrize(("check", "fault", "words"), FAULTS)
def test_a_seeded_fault_is_caught_by_its_check(folder: Path, check: str, fault: Fault, words: str) -> None:
    fault(folder)
    code, findings = run_audit(folder)
    assert code == 1
    failed = findings[(findings["check"] == check) & (findings["verdict"] == "fail")]
    assert any(words in f"{row.subject} {row.detail}" for row in failed.itertuples()), findings[["check", "detail"]]
    if fault is ALONE[check]:
        assert set(findings.loc[findings["verdict"] == "fail", "check"]) == {check}


def test_every_check_has_a_seeded_fault() -> None:
    assert {check.__name__ for check in CHECKS + PREDICTION_CHECKS} - set(ALONE) == {"counts_as_expected"}


def test_the_page_escapes_what_comes_from_outside(folder: Path) -> None:
    path = folder / "raw/sources/prdbv3/prdbv3.csv.receipt.json"
    receipt = json.loads(path.read_text()) | {"detail": "<script>alert(1)</script>"}
    path.write_text(json.dumps(receipt))
    run_audit(folder)
    page = (folder / "results/audit/audit.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_two_audits_of_one_run_are_equal(folder: Path) -> None:
    run_audit(folder)
    first = (folder / "results/audit/audit.html").read_bytes()
    run_audit(folder)
    assert (folder / "results/audit/audit.html").read_bytes() == first
