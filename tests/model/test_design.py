from __future__ import annotations

from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from copra.config_model import Switches
from copra.model.design import OFFICIAL, PAPER, Design, design_name, design_of

NAMES = [field.name for field in fields(Design)]


def test_the_configuration_has_a_switch_for_every_choice() -> None:
    choices, switches = get_type_hints(Design), get_type_hints(Switches)
    assert list(Switches.model_fields) == NAMES
    for name in NAMES:
        allowed = {part for part in get_args(switches[name]) if part is not type(None)}
        values = get_args(choices[name]) or (choices[name],)
        assert {value for part in allowed for value in (get_args(part) or (part,))} == set(values), name


def test_the_presets_differ_in_all_but_the_contrast() -> None:
    """(6) to (8) are printed as the mean over the batch that the code has."""
    same = [name for name in NAMES if getattr(PAPER, name) == getattr(OFFICIAL, name)]
    assert same == ["contrast_loss_divisor"]


def test_switches_are_put_over_the_preset() -> None:
    assert design_of("paper", None) == PAPER
    assert design_of("official", Switches()) == OFFICIAL
    design = design_of("paper", Switches(rotary=True, outer_product="squeezed"))
    assert (design.rotary, design.outer_product) == (True, "squeezed")
    assert [n for n in NAMES if getattr(design, n) != getattr(PAPER, n)] == ["rotary", "outer_product"]


def test_a_name_tells_what_was_flipped_and_no_more() -> None:
    assert design_name("paper", None) == "paper"
    assert design_name("official", Switches(rotary=True)) == "official"  # it has that anyway
    flipped = Switches(outer_product="squeezed", rotary=True)
    assert design_name("paper", flipped) == "paper with rotary=True, outer_product=squeezed"
    assert design_name("official", Switches(pair_feed_forward=True)) == "official with pair_feed_forward=True"


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(KeyError):
        design_of("both", None)
