"""What a task lets Co-Former see: attention within the molecules, hidden pairs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from coformer_nodes import PROTEIN_LM, RNA_LM, changed, made_embeddings, made_nodes, padded, seeded, small_shape
from torch import Tensor

from copra.model.attention import attention_mask
from copra.model.coformer import Coformer, View
from copra.model.design import OFFICIAL, PAPER, Design
from copra.model.pair_features import Nodes

both_presets = pytest.mark.parametrize("design", [PAPER, OFFICIAL], ids=["paper", "official"])
N_PROTEIN, N_RNA = 6, 4
PROTEIN_SIDE = [1, *range(3, 3 + N_PROTEIN)]
RNA_SIDE = [2, *range(3 + N_PROTEIN, 3 + N_PROTEIN + N_RNA)]


def made_coformer(design: Design, blocks: int = 2) -> Coformer:
    return seeded(Coformer(small_shape(design, blocks, PROTEIN_LM, RNA_LM)))


def complex_of_two(seed: int = 1) -> tuple[Nodes, Tensor, Tensor]:
    nodes = made_nodes(N_PROTEIN, N_RNA, seed)
    return nodes, *made_embeddings(1, nodes.residue_type.shape[1])


def test_who_attends_to_whom() -> None:
    nodes = padded(made_nodes(3, 2, 0), 10)
    allowed = attention_mask(nodes, within_molecules=False)[0]
    assert allowed[0].tolist() == [True] * 8 + [False] * 2
    assert allowed[1].tolist() == [False, True, False] + [True] * 3 + [False] * 4
    assert allowed[2].tolist() == [False, False, True] + [False] * 3 + [True] * 2 + [False] * 2
    assert allowed[3:8, :8].all()
    assert not allowed[:, 8:].any()
    within = attention_mask(nodes, within_molecules=True)[0]
    assert torch.equal(within[:3], allowed[:3])
    assert torch.equal(within[3:6], allowed[1].expand(3, 10))
    assert torch.equal(within[6:8], allowed[2].expand(2, 10))


def with_another(nodes: Nodes, rows: list[int], seed: int) -> Nodes:
    """Other types (of the same molecule) and places for the residues and special nodes of these rows."""
    other = made_nodes(N_PROTEIN, N_RNA, seed)
    types, xyz = nodes.residue_type.clone(), nodes.xyz_angstrom.clone()
    types[:, rows], xyz[:, rows] = other.residue_type[:, rows], other.xyz_angstrom[:, rows]
    return changed(nodes, residue_type=types, xyz_angstrom=xyz)


@both_presets
@pytest.mark.parametrize(("kept", "replaced"), [(PROTEIN_SIDE, RNA_SIDE), (RNA_SIDE, PROTEIN_SIDE)])
def test_within_molecules_one_knows_nothing_of_the_other(design: Design, kept: list[int], replaced: list[int]) -> None:
    model = made_coformer(replace(design, attention_mask="additive"), blocks=3)
    nodes, protein, rna = complex_of_two()
    other = with_another(nodes, [0, *replaced], 9)  # another partner moves the complex node, too
    lm = [torch.where(torch.isin(torch.arange(13), torch.tensor(replaced))[:, None], 2.0, x) for x in (protein, rna)]
    with torch.no_grad():
        s, z = model(nodes, protein, rna, View(None, within_molecules=True))
        s_other, z_other = model(other, *lm, View(None, within_molecules=True))
        s_all, s_all_other = model(nodes, protein, rna)[0], model(other, *lm)[0]
    assert torch.equal(s[:, kept], s_other[:, kept])
    assert torch.equal(z[:, kept][:, :, kept], z_other[:, kept][:, :, kept])
    assert (s[:, 0] - s_other[:, 0]).abs().max() > 1e-3  # the complex node sees both
    assert (s_all[:, kept] - s_all_other[:, kept]).abs().max() > 1e-3


def test_the_multiplied_mask_lets_the_partner_be_felt_in_the_sum() -> None:
    """As (3) is printed: the masked nodes count in the softmax, so that the weights left do not sum to one."""
    model = made_coformer(PAPER)
    nodes, protein, rna = complex_of_two()
    other = with_another(nodes, RNA_SIDE, 9)
    with torch.no_grad():
        s, _ = model(nodes, protein, rna, View(None, within_molecules=True))
        s_other, _ = model(other, protein, rna, View(None, within_molecules=True))
    assert (s[:, PROTEIN_SIDE] - s_other[:, PROTEIN_SIDE]).abs().max() > 1e-4


@both_presets
def test_hidden_pairs_hide_how_the_molecules_lie(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = complex_of_two()
    xyz = nodes.xyz_angstrom.clone()
    xyz[:, RNA_SIDE] += 6.0
    xyz[:, 0] += 3.0
    moved = changed(nodes, xyz_angstrom=xyz)
    side = torch.tensor([2, 0, 1] + [0] * N_PROTEIN + [1] * N_RNA)
    hidden = (side[:, None] != side)[None]
    with torch.no_grad():
        seen = [model(x, protein, rna) for x in (nodes, moved)]
        blind = [model(x, protein, rna, View(hidden, within_molecules=False)) for x in (nodes, moved)]
    for i in range(2):  # S, Z
        assert (seen[0][i] - seen[1][i]).abs().max() > 1e-3
        assert (blind[0][i] - blind[1][i]).abs().max() < 1e-4


@both_presets
def test_hidden_pairs_teach_the_mask_token(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = complex_of_two()
    hidden = torch.rand(1, 13, 13, generator=torch.Generator().manual_seed(4)) < 0.15
    model(nodes, protein, rna, View(hidden, within_molecules=False))[1].sin().sum().backward()
    assert model.mask_token.grad.abs().sum() > 0
    model.zero_grad()
    model(nodes, protein, rna)[1].sin().sum().backward()
    assert model.mask_token.grad is None
