"""Which residues a predicted dG rests on: each hidden in turn, or the gradient of a gate on each.

`hiding` computes the complex once more without each residue: its node is not there, everything else is as it was. The
contribution is dG(hidden) - dG(whole); a residue that helps binding has a positive one.

`gradient` puts a gate g = 1 on each residue's node. With g the node's weight in every attention is multiplied, before
the weights are made to sum to one, so that g = 0 takes the node out of all that others see. The contribution is the
slope -d dG / dg, one pass for all residues. It is a first-order guess at hiding, for Co-Former only: see
tests/predict/test_attribution.py for how well they agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from copra.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to load
    from torch import Tensor, nn

    from copra.model.coformer import Block
    from copra.predict.engine import Engine
    from copra.train.samples import Sample

METHODS = ("hiding", "gradient", "none")
ROW_ARRAYS = ("residue_type", "molecule", "chain", "polymer_index", "xyz_angstrom", "atom_mask", "protein_lm", "rna_lm")
SAMPLES_AT_ONCE = 64  # that lie in memory


def contributions(engine: Engine, sample: Sample, rows: Sequence[int], method: str) -> np.ndarray:
    """Contributions of the residues at these rows of the sample, kcal/mol, float64 [members, rows].

    `method` is `hiding` or `gradient`. Raises InputError where the gradient is asked of a model without gates.
    """
    if method == "hiding":
        return hidden_dg_kcal_mol(engine, sample, rows) - engine.dg_kcal_mol([sample])
    if method == "gradient":
        return -gate_slopes_kcal_mol(engine, sample)[:, list(rows)]
    raise InputError(f"--contributions: found '{method}', expected one of {', '.join(METHODS)}")


def describe_method(method: str, n_members: int) -> str:
    """The sentence for readers."""
    over = f"mean over {n_members} models" if n_members > 1 else "one model"
    if method == "hiding":
        return f"each residue in turn taken out of the input, dG without it minus dG with it ({over})"
    if method == "gradient":
        return f"slope of dG along a gate that takes the residue out of every attention ({over})"
    return "not computed (--contributions none)"


# --- hiding -------------------------------------------------------------------------------------------


def hidden_dg_kcal_mol(engine: Engine, sample: Sample, rows: Sequence[int]) -> np.ndarray:
    """dG of the complex without the node of each of these rows, float64 [members, rows]."""
    parts = [rows[start : start + SAMPLES_AT_ONCE] for start in range(0, len(rows), SAMPLES_AT_ONCE)]
    found = [engine.dg_kcal_mol([without_node(sample, row) for row in part]) for part in parts]
    return np.concatenate([np.zeros((len(engine.package.members), 0)), *found], axis=1)


def without_node(sample: Sample, row: int) -> Sample:
    """The sample without one residue's node; the special nodes keep their places.

    The same as a sample that is built of an interface without the residue. No other residue moves up for it.
    """
    fewer: dict[str, Any] = {}
    for name in ROW_ARRAYS:
        array = getattr(sample, name)
        fewer[name] = None if array is None else np.delete(array, row, axis=0)
    return replace(sample, **fewer)


# --- gradient -----------------------------------------------------------------------------------------


def gate_slopes_kcal_mol(engine: Engine, sample: Sample) -> np.ndarray:
    """d dG / d gate of every row of the sample, float64 [members, rows]; those of special nodes mean nothing.

    Raises InputError for a model that is not Co-Former with its special nodes.
    """
    import torch

    from copra.model.coformer import AffinityModel
    from copra.train.data import collate

    members = engine.members
    batch = collate([sample], members.device)
    slopes = np.empty((len(members.models), len(sample)))
    for row, (model, member) in enumerate(zip(members.models, engine.package.members, strict=True)):
        if not isinstance(model, AffinityModel) or not model.special_nodes:
            raise InputError(
                f"--contributions gradient: expected a Co-Former with special nodes, '{engine.package.name}' is "
                "another model; hiding works for every model"
            )
        gate = torch.ones(len(sample), device=members.device, requires_grad=True)
        with torch.enable_grad(), gated(model, gate):
            standardised = model(batch.nodes, batch.protein_lm, batch.rna_lm).sum()
            (slope,) = torch.autograd.grad(standardised, gate)
        slopes[row] = slope.double().cpu().numpy() * member.label_sd_kcal_mol
    return slopes


@contextmanager
def gated(model: nn.Module, gate: Tensor) -> Iterator[None]:
    """Within it, the attention of every block of a Co-Former weighs node j with gate[j]; `gate` is [L]."""
    blocks: list[Any] = list(model.coformer.blocks)  # type: ignore[union-attr, arg-type]
    try:
        for block in blocks:
            block.attention = _gated_attention(block, gate)
        yield
    finally:
        for block in blocks:
            del block.attention  # the class's own is seen again


def _gated_attention(block: Block, gate: Tensor) -> Any:
    """`Block.attention` with weights a_ij gate_j / sum_k a_ik gate_k in the place of a_ij / sum_k a_ik."""
    import torch

    from copra.model.pair_ops import ATTENDS, LEFT_OUT

    def attention(s: Tensor, z: Tensor, mask: Tensor, pair_rows: int | None) -> tuple[Tensor, Tensor]:
        b, length, d_s = s.shape
        q, k, v = block.to_qkv(s).view(b, length, 3, block.heads, d_s // block.heads).unbind(2)
        if block.design.rotary:
            from copra.model.layers import rotary_tables, rotate

            cosine, sine = (x[:, None] for x in rotary_tables(length, q.shape[-1], s.device))
            q, k = rotate(q, cosine, sine).to(v.dtype), rotate(k, cosine, sine).to(v.dtype)
        q = q[:, : z.shape[1]] * q.shape[-1] ** -0.5
        scores = torch.einsum("brhd,blhd->bhrl", q, k) + block.pair_bias(z).permute(0, 3, 1, 2)
        scores = (scores + gate.log()).masked_fill(mask[:, None] == LEFT_OUT, float("-inf"))
        weights = scores.softmax(-1).masked_fill(mask[:, None] != ATTENDS, 0.0)
        return torch.einsum("bhrl,blhd->brhd", weights, v).flatten(2), z[:, :pair_rows]

    return attention
