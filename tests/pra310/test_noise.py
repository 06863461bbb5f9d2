"""The noise of labels from the disagreement between sources."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from copra.pra310.noise import EVERY, label_noise
from copra.pra310.rules import Value
from copra.units import kd_from_dg


def value(source: str, dg_298k_kcal_mol: float, relation: str = "=", quantity: str = "Kd") -> Value:
    return Value(f"{source}:1", source, quantity, relation, kd_from_dg(dg_298k_kcal_mol, 298.15), 298.15, False)


def test_the_error_of_a_label_is_found_again() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(-9.0, 2.0, 4000)
    values = [[value("a", dg + rng.normal(0, 0.5)), value("b", dg + rng.normal(0, 0.5))] for dg in true]
    labels = pd.Series(true + rng.normal(0, 0.5, 4000))
    table = label_noise(values, labels).set_index(["source", "other_source", "copies_left_out"])
    assert sorted(table.index) == [("a", "b", False), (EVERY, EVERY, False), (EVERY, EVERY, True)]
    row = table.loc[("a", "b", False)]
    assert row["n_complexes"] == 4000
    assert row["label_error_sd_kcal_mol"] == pytest.approx(0.5, rel=0.03)
    assert row["ceiling_pcc"] == pytest.approx(float(np.corrcoef(true, labels)[0, 1]), abs=0.005)


def test_bounds_inhibition_and_copies_do_not_count() -> None:
    rng = np.random.default_rng(4)
    values = [[value("a", -9.0 - i), value("b", -9.0 - i)] for i in range(6)]
    values += [[value("a", -9.0), value("b", -5.0, "<"), value("c", -3.0, "=", "Ki"), value("d", -9.5)]]
    values += [[value("a", -9.0), value("d", -9.0 + rng.choice([-1.0, 1.0]))] for _ in range(5)]
    table = label_noise(values, pd.Series(rng.normal(-9.0, 2.0, 30))).set_index(["source", "other_source"])
    assert table.loc[("a", "b"), "label_error_sd_kcal_mol"].max() == pytest.approx(0.0, abs=1e-9)
    assert table.loc[("a", "d"), "n_complexes"].item() == 6
    every = table.loc[(EVERY, EVERY)].set_index("copies_left_out")
    assert every["n_complexes"].to_dict() == {False: 12, True: 6}
    assert every.loc[True, "label_error_sd_kcal_mol"] == pytest.approx(math.sqrt((5 * 1.0 + 0.25) / 6 / 2))
    assert every.loc[True, "ceiling_pcc"] < every.loc[False, "ceiling_pcc"]


def test_too_few_shared_complexes_say_nothing() -> None:
    assert label_noise([[value("a", -9.0), value("b", -8.0)]] * 4, pd.Series([-9.0, -8.0])).empty
