"""The task-dependent mask M."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from copra.model.pair_features import Nodes
from copra.model.pair_ops import LEFT_OUT, SET_TO_ZERO

COMPLEX_NODE, PROTEIN_NODE, RNA_NODE = 0, 1, 2
PROTEIN, RNA = 0, 1


def attention_mask(nodes: Nodes, within_molecules: bool) -> Tensor:
    """The mask M: which node (row) may attend to which (column), bool [B, L, L].

    Nobody attends to padding. The protein node attends to itself and protein residues, the RNA node to itself and
    RNA residues, the complex node and the residues to all. `within_molecules` keeps the residues too to their own
    molecule and its node; the complex node still attends to all, and nobody else to it.
    """
    b, length = nodes.residue_type.shape
    allowed = nodes.valid[:, None, :].expand(b, length, length).clone()
    for row, molecule in ((PROTEIN_NODE, PROTEIN), (RNA_NODE, RNA)):
        own = nodes.molecule == molecule  # [B, L]
        own[:, row] = True
        if within_molecules:
            allowed = torch.where(own[:, :, None], own[:, None, :], allowed)
        else:
            allowed[:, row] = own
    return allowed


def mask_codes(allowed: Tensor, valid: Tensor, kind: Literal["multiplied", "additive"]) -> Tensor:
    """M [B, R, L] as `pair_attention` reads it, uint8 [B, R, L].

    Additive: what is not allowed is left out before the softmax. Multiplied, as equation (3) prints it: the softmax
    runs over all valid nodes (bool [B, L]) and M sets to zero, so that such a row's weights sum to less than one.
    """
    if kind == "additive":
        return (~allowed).to(torch.uint8) * LEFT_OUT
    return ((~allowed).to(torch.uint8) * SET_TO_ZERO).masked_fill(~valid[:, None], LEFT_OUT)
