"""Weights of the official code under our names."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from copra.errors import InputError

BLOCK = re.compile(r"(blocks\.\d+)\.(.+)")
BLOCK_NAMES = {
    "attn_layer_norm": "attention_norm",
    "mh_attn.mh_attn.struct_bias": "pair_bias",
    "mh_attn.mh_attn.out_proj": "attention_out",
    "mh_attn.mh_attn.outer_squeeze": "outer_squeeze",
    "mh_attn.mh_attn.outer_linear": "outer_linear",
    "mh_attn.mh_attn.struct_out_proj": "pair_projection",
    "out_layer_norm": "feed_forward_norm",
    "pair_layer_norm": "pair_norm",
    "transition.0.linear": "feed_forward.inner.linear",
    "transition.0.linear_gate": "feed_forward.inner.linear_gate",
    "transition.0": "feed_forward.inner",  # of beta
    "transition.2": "feed_forward.out",
}
OTHER_NAMES = {
    "final_layer_norm": "final_norm",
    "pair_final_layer_norm": "final_pair_norm",
    **{
        name: f"pair_encoder.{name}"
        for name in (
            *("aa_pair_embed", "relpos_embed", "aapair_to_distcoef", "distance_embed.0", "distance_embed.2"),
            *("out_mlp.0", "out_mlp.2", "out_mlp.4"),
        )
    },
}
CONSTANTS = ("rotary_emb.inv_freq", "dihedral_embed.freq_bands")  # computed here, not loaded
QUERY_KEY_VALUE = tuple(f"mh_attn.mh_attn.to_{part}" for part in "qkv")


def official_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the official Co-Former blocks, final norms and pair encoder, as `Coformer` of that preset names them.

    Raises InputError for a name that is not one of theirs, and where a block lacks one of q, k and v.
    """
    found: dict[str, Tensor] = {}
    query_key_value: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name.endswith(CONSTANTS):
            continue
        module, _, kind = name.rpartition(".")
        match = BLOCK.fullmatch(module)
        if match and match[2] in QUERY_KEY_VALUE and kind == "weight":
            query_key_value.setdefault(match[1], {})[match[2]] = tensor
        elif match and match[2] in BLOCK_NAMES:
            found[f"{match[1]}.{BLOCK_NAMES[match[2]]}.{kind}"] = tensor
        elif module in OTHER_NAMES:
            found[f"{OTHER_NAMES[module]}.{kind}"] = tensor
        else:
            raise InputError(f"{name}: not a weight of the official Co-Former")
    for block, parts in query_key_value.items():
        missing = [name for name in QUERY_KEY_VALUE if name not in parts]
        if missing:
            raise InputError(f"{block}: without {', '.join(missing)}")
        found[f"{block}.to_qkv.weight"] = torch.cat([parts[name] for name in QUERY_KEY_VALUE])
    return found
