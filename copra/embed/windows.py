"""Sequences longer than a language model was trained on: cut into overlapping windows, blended back into one.

Every window is as long as the model allows and is a sequence by itself, with start and end tokens of its own
(so do the released tools with a protein that they crop). The starts are spread evenly. Between two neighbours
lies one ramp of exactly `overlap` residues, in the middle of what they share: the weight of the left window
falls linearly while that of the right one rises. Everywhere else one window alone gives the numbers, so a
residue counts the less the nearer it is to an end that is none in the real chain.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from copra.errors import InputError

log = logging.getLogger(__name__)

Array = np.ndarray

SPECIAL_TOKENS = 2  # <cls> and <eos> of each piece
# A shard holds few sequences of each length; the budget of tokens alone would put short ones beside long ones
MOST_PADDED = 1.1


def cut(length: int, longest: int, overlap: int) -> list[tuple[int, int]]:
    """Windows (start, stop) of `longest` residues over a sequence of `length`; the whole where that is enough.

    Neighbours share `overlap` residues or more. Raises ValueError where overlap is not in 1..longest // 4: then
    two ramps could touch.
    """
    if not 1 <= overlap <= longest // 4:
        raise ValueError(f"an overlap of {overlap} residues in windows of {longest}; expected 1 to {longest // 4}")
    if length <= longest:
        return [(0, length)]
    count = -(-(length - overlap) // (longest - overlap))  # rounded up
    starts = [i * (length - longest) // (count - 1) for i in range(count)]
    return [(start, start + longest) for start in starts]


def blending_weights(length: int, longest: int, overlap: int) -> list[Array]:
    """The weights, float64 [stop - start], of each window of `cut`; at every residue of the sequence they sum to 1."""
    windows = cut(length, longest, overlap)
    weights = [np.ones(stop - start) for start, stop in windows]
    rising = np.arange(1, overlap + 1) / (overlap + 1)
    for i in range(len(windows) - 1):
        (left, left_stop), (right, _) = windows[i], windows[i + 1]
        ramp = (right + left_stop - overlap) // 2  # its first residue: in the middle of right .. left_stop
        weights[i][ramp - left : ramp - left + overlap] = 1 - rising
        weights[i][ramp - left + overlap :] = 0
        weights[i + 1][: ramp - right] = 0
        weights[i + 1][ramp - right : ramp - right + overlap] = rising
    return weights


def blend(parts: list[Array], length: int, longest: int, overlap: int) -> Array:
    """One float32 array [length, width] of the windows' arrays [stop - start, width], in the order of `cut`."""
    whole = np.zeros((length, parts[0].shape[1]), dtype=np.float32)
    windows, weights = cut(length, longest, overlap), blending_weights(length, longest, overlap)
    for (start, stop), weight, part in zip(windows, weights, parts, strict=True):
        whole[start:stop] += weight[:, None].astype(np.float32) * part
    return whole


@dataclass(frozen=True)
class Plan:
    """What a language model has to read for a set of sequences.

    `pieces` maps a name to a text within the model's limit: a sequence under its own key, or a window of one
    under `key/start`. They can be batched in any way and embedded in any order.
    """

    lengths: dict[str, int]
    pieces: dict[str, str]
    longest: int
    overlap: int

    def joined(self, embedded: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, Array]]:
        """Pairs (piece, float32 [residues, width]) -> pairs (key, float32 [residues, width]).

        A sequence comes as soon as the last of its pieces is there; only windows of unfinished ones are held.
        """
        waiting: dict[str, dict[str, Array]] = {}
        for name, array in embedded:
            key = name if name in self.lengths else name.rpartition("/")[0]
            if name == key:
                yield key, array
                continue
            parts = waiting.setdefault(key, {})
            parts[name] = array
            names = self._windows(key)
            if len(parts) == len(names):
                yield key, blend([parts[n] for n in names], self.lengths[key], self.longest, self.overlap)
                del waiting[key]

    def _windows(self, key: str) -> list[str]:
        return [f"{key}/{start}" for start, _ in cut(self.lengths[key], self.longest, self.overlap)]


def plan(texts: Mapping[str, str], longest: int, overlap: int) -> Plan:
    """The pieces of the sequences `texts` (key -> letters); one log line for each sequence that must be cut.

    Raises InputError on a sequence without residues.
    """
    lengths = {key: len(text) for key, text in texts.items()}
    pieces: dict[str, str] = {}
    for key, text in texts.items():
        if not text:
            raise InputError(f"sequence {key}: no residues to embed")
        windows = cut(len(text), longest, overlap)
        if len(windows) == 1:
            pieces[key] = text
            continue
        log.warning(
            "sequence %s: %d residues, more than the model's %d; blended from %d windows, ramps of %d residues",
            *(key, len(text), longest, len(windows), overlap),
        )
        pieces |= {f"{key}/{start}": text[start:stop] for start, stop in windows}
    return Plan(lengths, pieces, longest, overlap)


def shape(length: int, longest: int, overlap: int) -> tuple[int, int]:
    """The rows that a sequence of `length` takes in a batch, its windows, and the residues in each of them."""
    return len(cut(length, longest, overlap)), min(length, longest)


def token_batches(shapes: Mapping[str, tuple[int, int]], max_tokens: int) -> list[list[str]]:
    """Names, each of so many rows of so many residues, in batches of similar length.

    All rows of a batch, padded to the longest, have at most `max_tokens` tokens, and the shortest is not padded to
    more than MOST_PADDED times its tokens. What has more than `max_tokens` by itself is a batch by itself. Without
    the names of some of the batches, the others are the same.
    """
    batches: list[list[str]] = []
    n_rows = least_tokens = 0
    # ascending in residues and, as only the longest have several rows, in rows too: the next would fit no better
    for name in sorted(shapes, key=lambda n: (shapes[n][1], shapes[n][0], n)):
        rows, tokens = shapes[name][0], shapes[name][1] + SPECIAL_TOKENS
        if batches and (n_rows + rows) * tokens <= max_tokens and tokens <= MOST_PADDED * least_tokens:
            batches[-1].append(name)
            n_rows += rows
        else:
            batches.append([name])
            n_rows, least_tokens = rows, tokens
    return batches
