from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from copra.errors import CopraError
from copra.provenance.trace import story, trace
from copra.tables import read_table, write_table


@pytest.fixture(scope="module")
def results(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced")
    sample.write_results(folder)
    return folder / "results"


def test_the_story_leads_from_the_cell_to_the_predictions(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trace("1a03:A:B", results=results) == 0
    text = capsys.readouterr().out
    label = read_table(results / "pra310/calibrate/labels.parquet", "labels").set_index("candidate_id").loc["1a03:A:B"]
    expected = [
        "prbabv2.csv, row 000005", "cell: 4,1A03_A:B,", "read as: Kd = ", "verdict: calibrate: ", "decisions",
        f"dG {label['dg_kcal_mol']:.3f} kcal/mol", "298.15 K (assumed)", "record",
        "chains A and B touch", "cluster 1a03:A:B", "fold 3", "coformer (seed 1, fold 3, nested): ",
    ]  # fmt: skip
    positions = [text.index(words) for words in expected]
    assert positions == sorted(positions)
    assert text.count("coformer (seed") == 2


def test_a_candidate_that_became_no_record_has_a_story_too(results: Path, tmp_path: Path) -> None:
    path = results / "pra310/select/records.parquet"
    records = read_table(path, "records")
    write_table(records[records["record_id"] != "1a03:A:B"], path, "records")
    lines = list(story("1a03:A:B", results))
    write_table(records, path, "records")
    assert lines[0] == "1a03:A:B   (a candidate, not a record)"
    assert any("dG" in line for line in lines)


@pytest.mark.parametrize(
    ("asked", "similar"), [("1A03", "1a03:A:B"), ("1a03:B:A", "1a03:A:B"), ("1x19:A:B", "1a19:A:B")]
)
def test_an_unknown_id_names_similar_ones(results: Path, asked: str, similar: str) -> None:
    with pytest.raises(CopraError, match=f"no record or candidate '{asked}'.*{similar}"):
        trace(asked, results=results)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(CopraError, match="run the workflow first"):
        trace("1a03:A:B", results=tmp_path)
