from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_world import tiny_recipe

from copra.model.design import OFFICIAL, PAPER
from copra.train.masks import draw_mask, draw_masks, drawn_count


def test_counts_are_right_in_the_mean() -> None:
    generator = np.random.default_rng(0)
    drawn = [drawn_count(7, 0.15, generator) for _ in range(4000)]
    assert set(drawn) == {1, 2}
    assert np.mean(drawn) == pytest.approx(1.05, abs=0.02)
    assert {drawn_count(20, 0.5, generator) for _ in range(50)} == {10}


def test_the_papers_mask_is_a_share_of_the_pairs_in_both_directions() -> None:
    mask = draw_mask(43, 60, 0.15, PAPER, np.random.default_rng(1))
    assert mask.shape == (43, 43)
    assert (mask == mask.T).all()
    assert not mask[:3].any()
    assert not mask.diagonal().any()
    assert mask[3:, 3:].sum() / (40 * 39) == pytest.approx(0.15, abs=0.001)


def test_the_official_mask_is_whole_rows_and_columns() -> None:
    design = replace(OFFICIAL, masked_nodes_from="interface")
    mask = draw_mask(43, 60, 0.15, design, np.random.default_rng(1))
    rows = np.flatnonzero(mask.all(1))
    assert len(rows) == 6
    assert rows.min() >= 3
    rebuilt = np.zeros_like(mask)
    rebuilt[rows], rebuilt[:, rows] = True, True
    assert (mask == rebuilt).all()


def test_of_all_positions_padding_takes_its_part() -> None:
    generator = np.random.default_rng(2)
    nodes = [int(draw_mask(23, 103, 0.15, OFFICIAL, generator).all(1).sum()) for _ in range(600)]
    assert np.mean(nodes) == pytest.approx(0.15 * 20, abs=0.2)
    assert np.std(nodes) > 1
    own = replace(OFFICIAL, masked_nodes_from="interface")
    assert {int(draw_mask(23, 103, 0.15, own, generator).all(1).sum()) for _ in range(50)} == {3}


def test_half_of_the_complexes_are_masked() -> None:
    sizes = [20, 30, 40, 25, 33, 28]
    drawn = [draw_masks(sizes, tiny_recipe(), OFFICIAL, np.random.default_rng(i)) for i in range(200)]
    assert {sum(mask is not None for mask in masks) for masks in drawn} == {3}
    often = np.mean([[mask is not None for mask in masks] for masks in drawn], axis=0)
    assert np.abs(often - 0.5).max() < 0.13
    assert all(mask is None or mask.shape == (n, n) for masks in drawn for mask, n in zip(masks, sizes, strict=True))
    again = draw_masks(sizes, tiny_recipe(), OFFICIAL, np.random.default_rng(7))
    assert all((a is None) == (b is None) for a, b in zip(again, drawn[7], strict=True))
