"""Co-Former written down as the equations and the official code have it: every intermediate tensor lies in memory.

The oracle of the tests and the other side of benchmarks/coformer.py. It takes the weights of `copra.model.coformer` by
name (`state_dict()`, or leaves that require gradients) and shares no code with it, only the types. Outer products are
[B, L, L, c, c], attention weights [B, H, L, L], pair features are concatenated; with a full outer product c is the
sequence width, so that one only fits at tiny sizes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from copra.model.coformer import CoformerShape, View
from copra.model.design import Design
from copra.model.pair_features import Nodes

TYPES, MAX_OFFSET, PADDING = 30, 32, 29
FREQUENCIES = (1.0, 2.0, 3.0, 1.0, 1 / 2, 1 / 3)

Weights = dict[str, Tensor]


def reference_affinity(
    weights: Weights,
    shape: CoformerShape,
    nodes: Nodes,
    protein_lm: Tensor | None,
    rna_lm: Tensor | None,
    dropout: float,
) -> Tensor:
    """dG = MLP(C^s), [B], with the weights of `AffinityModel`; `dropout` is 0 outside training."""
    s, _ = reference_coformer(part(weights, "coformer"), shape, nodes, protein_lm, rna_lm, View(None, False), dropout)
    head = part(weights, "head.layers")
    x = F.relu(linear(s[:, 0], part(head, "0")))
    x = F.relu(linear(x, part(head, "2")))
    return linear(x, part(head, "4"))[:, 0]


def reference_coformer(
    weights: Weights,
    shape: CoformerShape,
    nodes: Nodes,
    protein_lm: Tensor | None,
    rna_lm: Tensor | None,
    view: View,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """S [B, L, d_s] and Z [B, L, L, d_z] with the weights of `Coformer`."""
    s = weights["type_embedding.weight"][nodes.residue_type]
    for molecule, name, embedding in ((0, "protein_projection", protein_lm), (1, "rna_projection", rna_lm)):
        if embedding is not None:
            s = s + linear(embedding, part(weights, name)) * (nodes.molecule == molecule)[..., None]
    s = norm(s, part(weights, "input_norm"))
    z = pair_embedding(part(weights, "pair_encoder"), nodes, shape.design.special_node_geometry)
    if view.hidden_pairs is not None:
        z = torch.where(view.hidden_pairs[..., None], weights["mask_token"], z)
    m = mask(nodes, view.within_molecules)
    for i in range(shape.blocks):
        s, z = block(part(weights, f"blocks.{i}"), shape, s, z, m, nodes.residue_type != PADDING, dropout)
    if shape.design.final_layer_norm:
        s, z = norm(s, part(weights, "final_norm")), norm(z, part(weights, "final_pair_norm"))
    return s, z


def block(
    w: Weights, shape: CoformerShape, s: Tensor, z: Tensor, m: Tensor, valid: Tensor, dropout: float
) -> tuple[Tensor, Tensor]:
    """One block: SSF, layer norm, feed-forward."""
    design = shape.design
    if design.residual_from == "normed":
        s = norm(s, part(w, "attention_norm"))
    y = attention(w, shape, s, z, m, valid, dropout)  # (1) to (3)
    s_hat = s + F.dropout(linear(y, part(w, "attention_out")), dropout)
    z = pair_path(w, design, z, y, dropout)  # (4) and (5)
    x = norm(s_hat, part(w, "feed_forward_norm"))
    residual = x if design.feed_forward_residual_from == "normed" else s_hat
    return residual + mlp(x, part(w, "feed_forward"), design), z


def attention(
    w: Weights, shape: CoformerShape, s: Tensor, z: Tensor, m: Tensor, valid: Tensor, dropout: float
) -> Tensor:
    """Equations (1) to (3) with all attention weights, [B, L, d_s]."""
    b, length, d_s = s.shape
    d_k = d_s // shape.heads
    q, k, v = (part_ @ s.transpose(1, 2) for part_ in w["to_qkv.weight"].chunk(3))  # (1), each [B, d_s, L]
    q, k, v = (x.view(b, shape.heads, d_k, length).transpose(2, 3) for x in (q, k, v))  # [B, H, L, d_k]
    if shape.design.rotary:
        q, k = rotary(q), rotary(k)
    a = q @ k.transpose(2, 3) / d_k**0.5 + linear(z, part(w, "pair_bias")).permute(0, 3, 1, 2)  # (2) [B, H, L, L]
    if shape.design.attention_mask == "additive":
        p = torch.softmax(a.masked_fill(~m[:, None], float("-inf")), dim=-1)
    else:
        p = torch.softmax(a.masked_fill(~valid[:, None, None], float("-inf")), dim=-1) * m[:, None]
    y = F.dropout(p, dropout) @ v  # (3)
    return y.transpose(1, 2).reshape(b, length, d_s)


def rotary(x: Tensor) -> Tensor:
    """Turn the pairs (x_c, x_(c + d/2)) of position t by the angle t * 10000^(-2c / d); x [B, H, L, d]."""
    length, half = x.shape[2], x.shape[3] // 2
    frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float32, device=x.device) / half)
    angle = torch.arange(length, dtype=torch.float32, device=x.device)[:, None] * frequency
    first, second = x[..., :half], x[..., half:]
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def pair_path(w: Weights, design: Design, z: Tensor, y: Tensor, dropout: float) -> Tensor:
    """Equations (4) and (5), layer norm and feed-forward of the pair embedding."""
    u = linear(y, part(w, "outer_squeeze")) if design.outer_product == "squeezed" else y
    o = u[:, :, None, :, None] * u[:, None, :, None, :]  # (4) [B, L, L, c, c]
    update = linear(o.flatten(3), part(w, "outer_linear"))  # (5)
    if design.pair_update == "twice":
        t = z + F.dropout(linear(z + update, part(w, "pair_projection")), dropout)
        z = t + norm(t, part(w, "pair_norm"))
    else:
        z = norm(z + F.dropout(update, dropout), part(w, "pair_norm"))
    return z + mlp(z, part(w, "pair_feed_forward"), design) if design.pair_feed_forward else z


def mlp(x: Tensor, w: Weights, design: Design) -> Tensor:
    """The two layers of a feed-forward, without residual."""
    if design.feed_forward == "relu":
        return linear(F.relu(linear(x, part(w, "inner"))), part(w, "out"))
    h = linear(x, part(w, "inner.linear"))
    h = h * torch.sigmoid(w["inner.beta"] * h) * linear(x, part(w, "inner.linear_gate"))
    return linear(h, part(w, "out"))


def mask(nodes: Nodes, within_molecules: bool) -> Tensor:
    """M [B, L, L]: rows of one molecule's side see that side alone, all others see all that is not padding."""
    side = nodes.molecule.clone()
    side[:, 1], side[:, 2] = 0, 1
    restricted = side >= 0 if within_molecules else torch.zeros_like(side, dtype=torch.bool)
    restricted[:, 1:3] = True
    valid = nodes.residue_type != PADDING
    return valid[:, None, :] & (~restricted[:, :, None] | (side[:, :, None] == side[:, None, :]))


def pair_embedding(w: Weights, nodes: Nodes, special_node_geometry: bool) -> Tensor:
    """Z^(0) from the four pair features side by side, [B, L, L, 3 * d_z + 26] before the last MLP."""
    types, b, length = nodes.residue_type, *nodes.residue_type.shape
    pair = types[:, :, None] * TYPES + types[:, None, :]
    residue = nodes.molecule >= 0
    residues = residue[:, :, None] & residue[:, None, :]
    same_chain = (nodes.chain[:, :, None] == nodes.chain[:, None, :]) & residues
    offset = (nodes.polymer_index[:, :, None] - nodes.polymer_index[:, None, :]).clamp(-MAX_OFFSET, MAX_OFFSET)

    xyz, there = nodes.xyz_angstrom, nodes.atom_mask
    difference = (xyz[:, :, None, :, None] - xyz[:, None, :, None, :]) / 10.0  # [B, L, L, 4, 4, 3] in nm
    squared = (difference**2).sum(-1).reshape(b, length, length, 16)
    both = (there[:, :, None, :, None] & there[:, None, :, None, :]).reshape(b, length, length, 16)
    nearness = torch.exp(-F.softplus(w["aapair_to_distcoef.weight"][pair]) * squared) * both
    distance = F.relu(linear(nearness, part(w, "distance_embed.0")))
    distance = F.relu(linear(distance, part(w, "distance_embed.2")))

    turned = there[..., :3].all(-1) & residue
    features = (
        w["aa_pair_embed.weight"][pair],
        w["relpos_embed.weight"][offset + MAX_OFFSET] * same_chain[..., None],
        distance,
        angle_features(xyz) * (turned[:, :, None] & turned[:, None])[..., None],
    )
    x = F.relu(linear(torch.cat(features, dim=-1), part(w, "out_mlp.0")))
    x = linear(F.relu(linear(x, part(w, "out_mlp.2"))), part(w, "out_mlp.4"))
    node = there.any(-1) & (types != PADDING if special_node_geometry else residue)
    return x * (node[:, :, None] & node[:, None, :])[..., None]


def angle_features(xyz: Tensor) -> Tensor:
    """phi_ij = (C_i, N_j, CA_j, C_j) and psi_ij = (N_i, CA_i, C_i, N_j), each as itself, sines and cosines."""
    b, length = xyz.shape[:2]
    n_i, ca_i, c_i = (xyz[:, :, None, atom].expand(b, length, length, 3) for atom in range(3))
    n_j, ca_j, c_j = (xyz[:, None, :, atom].expand(b, length, length, 3) for atom in range(3))
    diagonal = torch.eye(length, dtype=torch.bool, device=xyz.device)
    features = []
    for points in ((c_i, n_j, ca_j, c_j), (n_i, ca_i, c_i, n_j)):
        b0, b1, b2 = points[1] - points[0], points[2] - points[1], points[3] - points[2]
        left, right = torch.cross(b0, b1, dim=-1), torch.cross(b1, b2, dim=-1)
        sine = (torch.cross(left, right, dim=-1) * F.normalize(b1, dim=-1)).sum(-1)
        angle = torch.atan2(sine, (left * right).sum(-1)).masked_fill(diagonal, 0.0)
        features.append(angle[..., None])
        features += [torch.sin(angle * f)[..., None] for f in FREQUENCIES]
        features += [torch.cos(angle * f)[..., None] for f in FREQUENCIES]
    return torch.cat(features, dim=-1)


def part(weights: Weights, prefix: str) -> Weights:
    """The weights below a module, by their names in it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in weights.items() if name.startswith(prefix + ".")}


def linear(x: Tensor, w: Weights) -> Tensor:
    """A linear layer with or without bias."""
    return F.linear(x, w["weight"], w.get("bias"))


def norm(x: Tensor, w: Weights) -> Tensor:
    """A layer norm."""
    return F.layer_norm(x, x.shape[-1:], w["weight"], w["bias"])
