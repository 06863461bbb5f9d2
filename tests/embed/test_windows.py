from __future__ import annotations

import logging
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copra.embed.esm2 import MAX_RESIDUES
from copra.embed.language_models import WINDOW_OVERLAP
from copra.embed.windows import (
    MOST_PADDED,
    SPECIAL_TOKENS,
    blend,
    blending_weights,
    cut,
    plan,
    shape,
    token_batches,
)
from copra.errors import InputError


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    """Length, longest window and overlap: those of the models, or small ones where many windows meet."""
    length = draw(st.integers(1, 10_000))
    if draw(st.booleans()):
        return length, MAX_RESIDUES, WINDOW_OVERLAP
    longest = draw(st.integers(max(4, length // 200), 1100))
    return length, longest, draw(st.integers(1, longest // 4))


def spread(length: int, longest: int, overlap: int) -> np.ndarray:
    """Weights [windows, length], zero outside a window."""
    windows = cut(length, longest, overlap)
    table = np.zeros((len(windows), length))
    for row, (start, stop), weight in zip(table, windows, blending_weights(length, longest, overlap), strict=True):
        row[start:stop] = weight
    return table


@settings(max_examples=60, deadline=None)
@given(cuts())
def test_windows_cover_the_sequence_and_share_enough(case: tuple[int, int, int]) -> None:
    length, longest, overlap = case
    windows = cut(*case)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    if length <= longest:
        assert windows == [(0, length)]
        return
    assert {stop - start for start, stop in windows} == {longest}
    assert all(a[1] - b[0] >= overlap for a, b in pairwise(windows))
    # one window fewer would share less than asked
    assert length > longest + (len(windows) - 2) * (longest - overlap)


@settings(max_examples=60, deadline=None)
@given(cuts())
def test_weights_sum_to_one_at_every_residue(case: tuple[int, int, int]) -> None:
    table = spread(*case)
    np.testing.assert_allclose(table.sum(0), 1, atol=1e-12)
    assert table.min() >= 0
    assert (table > 0).sum(0).max() <= 2


@settings(max_examples=60, deadline=None)
@given(cuts())
def test_weights_change_by_one_step_of_the_ramp_at_most(case: tuple[int, int, int]) -> None:
    table = spread(*case)
    if table.shape[1] > 1:
        assert np.abs(np.diff(table, axis=1)).max() <= 1 / (case[2] + 1) + 1e-12


@settings(max_examples=30, deadline=None)
@given(cuts())
def test_where_one_window_lies_alone_its_numbers_are_kept(case: tuple[int, int, int]) -> None:
    windows = cut(*case)
    parts = [np.full((stop - start, 1), i + 0.1, np.float32) for i, (start, stop) in enumerate(windows)]
    whole = blend(parts, *case)
    lying = np.zeros(case[0], int)
    for start, stop in windows:
        lying[start:stop] += 1
    for i, (start, stop) in enumerate(windows):
        alone = whole[start:stop][lying[start:stop] == 1]
        assert (alone == np.float32(i + 0.1)).all()
    assert (np.diff(whole[:, 0]) >= -1e-4).all()  # from each window's value to the next, never back


def test_equal_windows_blend_to_themselves() -> None:
    truth = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    parts = [truth[start:stop] for start, stop in cut(3000, 1022, 255)]
    np.testing.assert_allclose(blend(parts, 3000, 1022, 255), truth, atol=1e-6)


def test_pieces_come_back_whole_in_whatever_order_they_are_embedded(caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(1)
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    texts = {f"k/{n}": "".join(generator.choice(letters, n)) for n in (1, 20, 21, 55, 300)}
    with caplog.at_level(logging.WARNING):
        planned = plan(texts, longest=20, overlap=5)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        f"sequence k/{n}: {n} residues" for n in (21, 55, 300)
    ]
    assert max(len(text) for text in planned.pieces.values()) == 20

    def numbers(text: str) -> np.ndarray:
        return np.array([[ord(letter), 1] for letter in text], np.float32)

    names = list(planned.pieces)
    for _ in range(5):
        generator.shuffle(names)
        whole = dict(planned.joined((name, numbers(planned.pieces[name])) for name in names))
        assert set(whole) == set(texts)
        for key, text in texts.items():
            np.testing.assert_allclose(whole[key], numbers(text), atol=1e-5)


def test_wrong_overlaps_and_empty_sequences_are_refused() -> None:
    for overlap in (0, -1, 6, 20):
        with pytest.raises(ValueError, match="expected 1 to 5"):
            cut(100, 20, overlap)
    with pytest.raises(InputError, match="sequence k: no residues"):
        plan({"k": ""}, 20, 5)


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, tuple[int, int]]:
    """Sequences of up to 300 residues in windows of at most 100."""
    lengths = draw(st.lists(st.integers(1, 300), max_size=60))
    return {f"k{i}": shape(length, 100, 25) for i, length in enumerate(lengths)}


@settings(max_examples=100, deadline=None)
@given(shapes(), st.integers(1, 1000), st.randoms())
def test_batches_keep_their_bounds_and_depend_on_no_other_batch(
    given_shapes: dict[str, tuple[int, int]], max_tokens: int, choice: random.Random
) -> None:
    batches = token_batches(given_shapes, max_tokens)
    assert sorted(name for batch in batches for name in batch) == sorted(given_shapes)
    for batch in batches:
        tokens = [given_shapes[name][1] + SPECIAL_TOKENS for name in batch]
        assert len(batch) == 1 or sum(given_shapes[name][0] for name in batch) * max(tokens) <= max_tokens
        assert max(tokens) <= MOST_PADDED * min(tokens)
    left = [batch for batch in batches if choice.random() < 0.5]
    rest = {name: given_shapes[name] for batch in left for name in batch}
    assert token_batches(rest, max_tokens) == left


def test_windows_count_in_a_batch_as_rows_of_their_own() -> None:
    given_shapes = {name: shape(n, 100, 25) for name, n in (("a", 100), ("b", 101), ("c", 300), ("d", 1000), ("e", 30))}
    assert given_shapes == {"a": (1, 100), "b": (2, 100), "c": (4, 100), "d": (13, 100), "e": (1, 30)}
    assert token_batches(given_shapes, 7 * 102) == [["e"], ["a", "b", "c"], ["d"]]
