"""Which pairs of which complexes have their embedding masked in the distance task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from copra.config_model import Recipe
from copra.model.design import Design
from copra.model.pair_features import N_SPECIAL


def drawn_count(n: int, fraction: float, generator: np.random.Generator) -> int:
    """`fraction` of n as a whole number, rounded up or down at random so that the mean over many draws is exact."""
    exact = n * fraction
    return int(exact) + int(generator.random() < exact - int(exact))


def draw_masks(
    sizes: list[int], recipe: Recipe, design: Design, generator: np.random.Generator
) -> list[npt.NDArray[np.bool_] | None]:
    """The masked pairs of each complex of a batch, bool [n, n] with n of `sizes` (special nodes included).

    `masked_samples` of the complexes are masked, the others have None.
    """
    chosen = generator.permutation(len(sizes))[: drawn_count(len(sizes), recipe.masked_samples, generator)]
    longest = max(sizes, default=0)
    masks: list[npt.NDArray[np.bool_] | None] = [None] * len(sizes)
    for i in sorted(int(i) for i in chosen):
        masks[i] = draw_mask(sizes[i], longest, recipe.masked_nodes, design, generator)
    return masks


def draw_mask(
    n: int, longest: int, fraction: float, design: Design, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """The masked pairs of one complex of n nodes in a batch whose longest has `longest`, bool [n, n].

    The paper masks `fraction` of the entries of Z: here of the pairs of residues, each in both directions, since one
    direction would tell the other. The official code masks `fraction` of the nodes, their whole rows and columns
    (`distance_mask`). What is drawn from (`masked_nodes_from`) are the interface's residues, or, as in the official
    code, all positions behind the special nodes up to the batch's padded length, so that a small complex beside a
    large one loses as many in the mean, but not always the same number.
    """
    reach = (n if design.masked_nodes_from == "interface" else longest) - N_SPECIAL
    hidden = np.zeros((N_SPECIAL + reach, N_SPECIAL + reach), dtype=np.bool_)
    if design.distance_mask == "nodes":
        nodes = N_SPECIAL + generator.permutation(reach)[: drawn_count(reach, fraction, generator)]
        hidden[nodes, :] = True
        hidden[:, nodes] = True
    else:
        first, second = np.triu_indices(reach, k=1)
        drawn = generator.choice(len(first), drawn_count(len(first), fraction, generator), replace=False)
        hidden[N_SPECIAL + first[drawn], N_SPECIAL + second[drawn]] = True
        hidden |= hidden.T
    return hidden[:n, :n]
