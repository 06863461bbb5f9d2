from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from copra.model.coformer import (
    AffinityModel,
    Coformer,
    CoformerShape,
    OuterProductUpdate,
    StructureGuidedAttention,
    attention_mask,
)
from copra.model.layers import rotary_tables, rotate
from copra.model.pair_features import PADDING_TYPE, Nodes

SHAPE = CoformerShape(
    blocks=2,
    sequence_width=16,
    pair_width=8,
    heads=4,
    outer_product_width=3,
    head_width=12,
    dropout=0.0,
    protein_lm_width=0,
    rna_lm_width=0,
)


def made_nodes(n_protein: int, n_rna: int, seed: int) -> Nodes:
    generator = torch.Generator().manual_seed(seed)
    n = n_protein + n_rna + 3
    types = torch.cat(
        (
            torch.tensor([26, 27, 28]),
            torch.randint(0, 21, (n_protein,), generator=generator),
            torch.randint(21, 26, (n_rna,), generator=generator),
        )
    )
    molecule = torch.tensor([-1, -1, -1] + [0] * n_protein + [1] * n_rna)
    index = torch.tensor([-1, -1, -1, *range(n_protein), *range(n_rna)])
    return Nodes(
        residue_type=types[None],
        molecule=molecule[None],
        chain=molecule[None],
        polymer_index=index[None],
        xyz_angstrom=torch.randn(1, n, 4, 3, generator=generator) * 8,
        atom_mask=torch.ones(1, n, 4, dtype=torch.bool),
    )


def padded(nodes: Nodes, length: int) -> Nodes:
    extra = length - nodes.residue_type.shape[1]

    def pad(tensor: torch.Tensor, value: float) -> torch.Tensor:
        return torch.cat((tensor, torch.full((1, extra, *tensor.shape[2:]), value).to(tensor.dtype)), dim=1)

    return Nodes(
        residue_type=pad(nodes.residue_type, PADDING_TYPE),
        molecule=pad(nodes.molecule, -1),
        chain=pad(nodes.chain, -1),
        polymer_index=pad(nodes.polymer_index, -1),
        xyz_angstrom=pad(nodes.xyz_angstrom, 7.0),
        atom_mask=pad(nodes.atom_mask, True),
    )


def together(*parts: Nodes) -> Nodes:
    return Nodes(**{name: torch.cat([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def made_model(shape: CoformerShape, seed: int = 0) -> AffinityModel:
    torch.manual_seed(seed)
    return AffinityModel(shape).eval()


def test_a_padded_complex_gives_what_it_gives_alone() -> None:
    model = made_model(replace(SHAPE, protein_lm_width=5, rna_lm_width=6))
    small, large = made_nodes(6, 4, 1), made_nodes(14, 9, 2)
    generator = torch.Generator().manual_seed(3)
    protein, rna = torch.randn(2, 26, 5, generator=generator), torch.randn(2, 26, 6, generator=generator)
    with torch.no_grad():
        alone = model(small, protein[:1, :13], rna[:1, :13])
        batch = model(together(padded(small, 26), large), protein, rna)
        s, z = model.coformer(padded(small, 26), protein[:1], rna[:1])
        s_alone, z_alone = model.coformer(small, protein[:1, :13], rna[:1, :13])
    assert (batch[0] - alone[0]).abs() < 1e-5
    assert (s[:, :13] - s_alone).abs().max() < 1e-5
    assert (z[:, :13, :13] - z_alone).abs().max() < 1e-5


def test_who_attends_to_whom() -> None:
    allowed = attention_mask(padded(made_nodes(3, 2, 0), 10))[0]
    complex_, protein, rna = allowed[0].tolist(), allowed[1].tolist(), allowed[2].tolist()
    assert complex_ == [True] * 8 + [False] * 2
    assert protein == [False, True, False] + [True] * 3 + [False] * 4
    assert rna == [False, False, True] + [False] * 3 + [True] * 2 + [False] * 2
    assert allowed[3:8, :8].all()
    assert not allowed[:, 8:].any()


def test_attention_follows_the_equations() -> None:
    torch.manual_seed(1)
    layer = StructureGuidedAttention(SHAPE).eval()
    nodes = made_nodes(4, 3, 0)
    s, z = torch.randn(1, 10, 16), torch.randn(1, 10, 10, 8)
    allowed = attention_mask(nodes)
    q, k, v = (s @ part.T for part in layer.to_qkv.weight.chunk(3))  # (1)
    cosine, sine = rotary_tables(10, 4, s.device)
    heads = []
    for h in range(4):
        one = slice(4 * h, 4 * h + 4)
        score = rotate(q[..., one], cosine, sine) @ rotate(k[..., one], cosine, sine).transpose(1, 2) / 2.0
        score = score + z @ layer.pair_bias.weight[h]  # (2)
        heads.append(score.masked_fill(~allowed, float("-inf")).softmax(-1) @ v[..., one])  # (3)
    expected = torch.cat(heads, dim=-1) @ layer.out.weight.T
    assert (layer(s, z, allowed) - expected).abs().max() < 1e-5


def test_outer_product_follows_the_equations() -> None:
    torch.manual_seed(1)
    layer = OuterProductUpdate(SHAPE)
    s = torch.randn(2, 5, 16)
    u = layer.squeeze(s)
    o = u[:, :, None, :, None] * u[:, None, :, None, :]  # (4)
    expected = torch.einsum("bijae,aez->bijz", o, layer.weight) + layer.bias  # (5)
    assert (layer(s) - expected).abs().max() < 1e-5


def test_rotary_scores_depend_on_the_distance_only() -> None:
    q, k = torch.randn(8), torch.randn(8)
    cosine, sine = rotary_tables(12, 8, q.device)
    turned_q, turned_k = rotate(q.expand(12, 8), cosine, sine), rotate(k.expand(12, 8), cosine, sine)
    assert turned_q[2] @ turned_k[5] == pytest.approx((turned_q[7] @ turned_k[10]).item(), abs=1e-5)
    assert abs(turned_q[2] @ turned_k[5] - turned_q[2] @ turned_k[6]) > 1e-4


def test_structure_and_centres_reach_the_prediction() -> None:
    model = made_model(SHAPE)
    nodes = made_nodes(6, 4, 1)
    for moved in (0, 5):  # the complex node's centre, a residue
        other = Nodes(**{**vars(nodes), "xyz_angstrom": nodes.xyz_angstrom.clone()})
        other.xyz_angstrom[:, moved] += 5.0
        with torch.no_grad():
            assert (model(nodes, None, None) - model(other, None, None)).abs() > 1e-6


def test_an_absent_atom_has_no_influence() -> None:
    model = made_model(SHAPE)
    nodes = made_nodes(6, 4, 1)
    nodes.atom_mask[:, 4, 3] = False
    nodes.atom_mask[:, 10] = False
    other = Nodes(**{**vars(nodes), "xyz_angstrom": nodes.xyz_angstrom.clone()})
    other.xyz_angstrom[:, 4, 3] = 99.0
    other.xyz_angstrom[:, 10] = -50.0
    with torch.no_grad():
        assert torch.equal(model(nodes, None, None), model(other, None, None))


def test_every_weight_gets_a_finite_gradient() -> None:
    model = AffinityModel(replace(SHAPE, protein_lm_width=5, rna_lm_width=6)).train()
    nodes = together(padded(made_nodes(6, 4, 1), 20), padded(made_nodes(9, 8, 2), 20))
    model(nodes, torch.randn(2, 20, 5), torch.randn(2, 20, 6)).square().sum().backward()
    # Z after the last block reaches no output of this head
    last = ("blocks.1.outer_product", "blocks.1.pair_norm", "blocks.1.pair_transition")
    for name, parameter in model.named_parameters():
        if any(part in name for part in last):
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_model_for_embeddings_wants_them() -> None:
    with pytest.raises(ValueError, match="none were given"):
        Coformer(replace(SHAPE, protein_lm_width=5))(made_nodes(3, 2, 0), None, None)
