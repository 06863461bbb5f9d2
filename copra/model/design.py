"""Where the CoPRA paper (AAAI 2025) and its official code differ, as named choices.

`PAPER` is the model as its equations are printed, `OFFICIAL` as the code computes it. A configuration names one of
the two and may flip single choices; what was chosen is written into every result by `design_name`.

What the text leaves open and both presets share: the attention of (3) has an output projection and a residual, and
FFN(x) = x + MLP(x), since six blocks without residuals cannot be trained; the s^ of the outer product (4) is (3) as
printed, before that projection.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from copra.config_model import Switches


@dataclass(frozen=True)
class Design:
    """One reading of Co-Former. Every comment says: the paper's reading | the code's."""

    # (3) M multiplies softmax(A), which runs over all nodes | masked scores are minus infinity before the softmax.
    # Multiplied, a masked node still counts in the softmax's sum: its presence can be felt, though not its value.
    attention_mask: Literal["multiplied", "additive"]
    # (1) positions enter only through Z | queries and keys are turned by the index in the list of nodes
    # (the RNA node stands before the protein there, so that it can tell the protein's length)
    rotary: bool
    # FFN: an MLP, here with ReLU | a gated unit with 2/3 of the inner width
    feed_forward: Literal["relu", "swiglu"]
    # (1)-(3) attention reads S, and S is its residual | it reads LN(S), and LN(S) is its residual
    residual_from: Literal["input", "normed"]
    # S^(l+1) = FFN(LN(S^)), so that what is added to is LN(S^) | S^ + MLP(LN(S^))
    feed_forward_residual_from: Literal["normed", "input"]
    # (4) the outer product of two rows of S^, d_s x d_s | of two rows squeezed to a few channels by a linear layer
    outer_product: Literal["full", "squeezed"]
    # (5) z^ = z + Linear(o), then LN(z^) | t = z + Linear(z + Linear(o)), then t + LN(t)
    pair_update: Literal["once", "twice"]
    # Z^(l+1) = FFN(LN(Z^)) | no feed-forward on the pair path
    pair_feed_forward: bool
    # none printed | a layer norm on S and on Z after the last block
    final_layer_norm: bool
    # special nodes stand at the centres | their pair features are all zero, so that the centres have no effect
    special_node_geometry: bool
    # CPRI: the pairs across the interface are masked in Z | they are not; both keep attention within the molecules
    contrast_hides_pairs: bool
    # MIDM: the ratio is one of the entries of Z | of the nodes, each with its row and its column of Z
    distance_mask: Literal["pairs", "nodes"]
    # MIDM: what is masked is drawn from the interface | from all positions behind the special nodes, padding included
    masked_nodes_from: Literal["interface", "all_positions"]
    # (10), (11) the mean over each complex's pairs, then over complexes | over all pairs of the batch together
    distance_loss_mean: Literal["complex", "pairs"]
    # (6)-(8): K terms, each divided by K, are a mean over the batch in both; `batch_squared` divides by K once more
    contrast_loss_divisor: Literal["batch_squared", "batch"]


PAPER = Design(
    attention_mask="multiplied",
    rotary=False,
    feed_forward="relu",
    residual_from="input",
    feed_forward_residual_from="normed",
    outer_product="full",
    pair_update="once",
    pair_feed_forward=True,
    final_layer_norm=False,
    special_node_geometry=True,
    contrast_hides_pairs=True,
    distance_mask="pairs",
    masked_nodes_from="interface",
    distance_loss_mean="complex",
    contrast_loss_divisor="batch",
)

OFFICIAL = Design(
    attention_mask="additive",
    rotary=True,
    feed_forward="swiglu",
    residual_from="normed",
    feed_forward_residual_from="input",
    outer_product="squeezed",
    pair_update="twice",
    pair_feed_forward=False,
    final_layer_norm=True,
    special_node_geometry=False,
    contrast_hides_pairs=False,
    distance_mask="nodes",
    masked_nodes_from="all_positions",
    distance_loss_mean="pairs",
    contrast_loss_divisor="batch",
)

PRESETS = {"paper": PAPER, "official": OFFICIAL}


def design_of(preset: str, switches: Switches | None) -> Design:
    """The preset with every switch that is not null put in place of the preset's choice."""
    return replace(PRESETS[preset], **_flipped(preset, switches))


def design_name(preset: str, switches: Switches | None) -> str:
    """How a design is written into results: "paper", or "paper with rotary=True, outer_product=squeezed"."""
    flipped = _flipped(preset, switches)
    choices = ", ".join(f"{name}={value}" for name, value in flipped.items())
    return f"{preset} with {choices}" if choices else preset


def _flipped(preset: str, switches: Switches | None) -> dict[str, Any]:
    """The choices that differ from the preset's, in the order of Design."""
    if switches is None:
        return {}
    wanted = {field.name: getattr(switches, field.name) for field in fields(Design)}
    return {
        name: value for name, value in wanted.items() if value is not None and value != getattr(PRESETS[preset], name)
    }
