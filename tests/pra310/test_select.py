"""The limits of a record, one entry each."""

from __future__ import annotations

from typing import Any

from copra.config import Window
from copra.files import sha256_of_text

PR = {"A": ("protein", "MKVAL"), "Q": ("rna", "GGCC")}


def test_limits_of_records(desk: Any) -> None:
    desk.structure("1aaa", PR, "AQ")
    desk.structure("1bbb", {"A": ("protein", "M" * 21), "Q": ("rna", "G")}, "AQ")
    desk.structure("1ccc", {"A": ("protein", "M" * 20), "Q": ("rna", "G" * 9)}, "AQ")
    desk.structure("1ddd", {"A": ("protein", "M" * 20), "Q": ("rna", "G" * 8)}, "AQ")
    desk.structure("1eee", PR, "")
    desk.structure("1fff", PR | {"D": ("dna", "GG")}, "AQ")
    desk.structure("1ggg", PR | {"R": ("hybrid", "GGCC")}, "AQ")
    desk.structure("1hhh", PR | {name: ("protein", "MKV" + name) for name in "BCD"}, "AQ")
    names = {"1fff": "A:Q,D", "1ggg": "A:Q,R", "1hhh": "A,B,C,D:Q"}
    entries = [f"1{letter * 3}" for letter in "abcdefgh"]
    desk.measurements = [desk.measurement(f"good:{e}", e, names.get(e, "A:Q")) for e in entries]
    desk.run()
    told = {subject[:4]: rule for subject, (rule, _) in desk.verdicts("select").items()}
    assert told == {
        "1aaa": "within_all_limits", "1bbb": "protein_length", "1ccc": "rna_length", "1ddd": "within_all_limits",
        "1eee": "chains_do_not_touch", "1fff": "within_all_limits", "1ggg": "within_all_limits",
        "1hhh": "number_of_protein_chains",
    }  # fmt: skip
    records = desk.table("records").set_index("pdb_id")
    assert records["in_pra201"].to_dict() == {"1aaa": True, "1ddd": False, "1fff": True, "1ggg": False}
    assert records.loc["1ggg", "rna_sequences"] == "GGCC,GGCC"
    assert records.loc["1ggg", "n_rna_nucleotides"] == 8
    assert records.loc["1aaa", "protein_sha256"] == sha256_of_text("MKVAL")
    desk.settings = desk.limits(variant="restricted", dg_window_kcal_mol=Window(low=-12.0, high=-11.5))
    desk.run()
    assert desk.table("records").empty
