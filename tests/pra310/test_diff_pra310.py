"""A build beside a published list: every difference has its verdict and its reason."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from copra import cli
from copra.errors import InputError
from copra.pra310.diff import REASONS, diff_pra310, read_published
from copra.tables import read_table, write_table
from copra.units import dg_from_kd

LABELS = "pra310/calibrate/labels.parquet"
HEADING = "PDB,Protein chains,RNA chains,Kd(mol),T(k),pH,△G(kcal/mol),in_PRA201\n"


@pytest.fixture
def results(sample: ModuleType, tmp_path: Path) -> Path:
    sample.write_results(tmp_path)
    return tmp_path / "results"


def listed(labels: pd.DataFrame, *, leave_out: int) -> str:
    """The labels as the published list would have them, the last ones left out."""
    rows = [
        f"{row.pdb_id.upper()},A,B,{row.kd_molar!r},298,7,{row.dg_kcal_mol!r},1"
        for row in labels.iloc[:-leave_out].itertuples()
    ]
    return HEADING + "\n".join(rows) + "\n"


def test_every_difference_has_its_reason(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = read_table(results / LABELS, "labels")
    kd = labels["kd_molar"].tolist()
    text = listed(labels, leave_out=2)
    rows = text.splitlines()
    cold = dg_from_kd(kd[1], 277.0)
    rows[2] = f"1A01,A,B,{kd[1]!r},277,7,{cold!r},1"  # the same Kd at another temperature
    rows[3] = f"1A02,A,C,{kd[2] * 100!r},298,7,{dg_from_kd(kd[2] * 100, 298.15)!r},0"  # another value, other chains
    rows.append("9YYY,A,B,1e-9,298,7,-12.28,0")
    rows.append('9ZZZ,"A,B",C,1e-9,298,7,-12.28,0')  # its measurement is dropped as a mutant
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "diff.parquet"
    words = ["diff", "pra310", "--results", str(results), "--published", str(tmp_path / "list.csv"), "--out", str(out)]
    assert cli.main(words) == 0
    table = read_table(out, "diff_pra310").set_index("pdb_id")
    told = table[["verdict", "reason", "record"]].apply(tuple, axis=1).to_dict()
    assert told["1a00"] == ("equal_label", "equal", "published_chains")
    assert told["1a01"] == ("other_label", "other_temperature", "published_chains")
    assert told["1a02"] == ("other_label", "source_unknown", "other_chains")
    assert told["9yyy"] == ("missing", "no_measurement", "no_label")
    assert told["9zzz"] == ("missing", "mutant_construct", "no_label")
    assert told["1a19"] == ("extra", "left_out_by_the_authors", "record")
    assert set(table["reason"]) <= REASONS.keys()
    assert len(table) == len(labels) + 2
    assert table.loc["1a00", "published_sources"] == "prbabv2"
    said = capsys.readouterr().out
    assert "PRA310: 20 published entries" in said
    assert "PRA201: 17 published entries" in said


def test_a_value_of_another_source_is_named(results: Path, tmp_path: Path) -> None:
    labels = read_table(results / LABELS, "labels")
    (tmp_path / "list.csv").write_text(listed(labels, leave_out=1))
    labels.loc[0, ["dg_kcal_mol", "dg_298k_kcal_mol"]] -= 2.0
    write_table(labels, results / LABELS, "labels")
    diff_pra310(results, tmp_path / "list.csv", tmp_path / "diff.parquet")
    row = read_table(tmp_path / "diff.parquet", "diff_pra310").set_index("pdb_id").loc["1a00"]
    assert (row["reason"], row["published_sources"]) == ("follows_other_source", "prbabv2")


def test_a_list_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("PDB,Kd\n1A00,1e-9\n")
    with pytest.raises(InputError, match=r"list\.csv: .*lacking \['Protein chains'"):
        read_published(path)
    path.write_text(HEADING + "1A00,A,B,1e-9,298,7,strong,1\n")
    with pytest.raises(InputError, match=r"list\.csv, line 2: expected Kd and dG as numbers"):
        read_published(path)
    assert cli.main(["diff", "pra311", "--results", ".", "--published", str(path), "--out", "x"]) == 2
