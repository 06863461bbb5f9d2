"""Small made-up interfaces and models for the tests of Co-Former."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from copra.model.coformer import CoformerShape
from copra.model.design import Design
from copra.model.pair_features import PADDING_TYPE, Nodes

PROTEIN_LM, RNA_LM = 5, 6  # widths


def small_shape(design: Design, blocks: int = 2, protein_lm: int = 0, rna_lm: int = 0) -> CoformerShape:
    """A model whose full outer product, too, is small."""
    return CoformerShape(
        blocks=blocks,
        sequence_width=16,
        pair_width=8,
        heads=4,
        outer_product_width=3,
        head_width=12,
        dropout=0.0,
        protein_lm_width=protein_lm,
        rna_lm_width=rna_lm,
        design=design,
    )


def made_nodes(n_protein: int, n_rna: int, seed: int) -> Nodes:
    """One interface with random types and coordinates; the special nodes stand at the centres."""
    generator = torch.Generator().manual_seed(seed)
    n = n_protein + n_rna
    xyz = torch.randn(n, 4, 3, generator=generator) * 8
    centres = torch.stack((xyz.mean((0, 1)), xyz[:n_protein].mean((0, 1)), xyz[n_protein:].mean((0, 1))))
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
        chain=molecule[None].clone(),
        polymer_index=index[None],
        xyz_angstrom=torch.cat((centres[:, None].expand(3, 4, 3), xyz))[None],
        atom_mask=torch.ones(1, n + 3, 4, dtype=torch.bool),
    )


def padded(nodes: Nodes, length: int) -> Nodes:
    """The same interface with padding behind it, whose coordinates are not zero."""
    extra = length - nodes.residue_type.shape[1]

    def pad(tensor: Tensor, value: float) -> Tensor:
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
    """Interfaces of one length as a batch."""
    return Nodes(**{name: torch.cat([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def changed(nodes: Nodes, **arrays: Tensor) -> Nodes:
    """The interface with other arrays in the place of its own."""
    return Nodes(**{**vars(nodes), **arrays})


def batch_of_two() -> tuple[Nodes, Tensor, Tensor]:
    """A padded and a longer interface with missing atoms, and their embeddings by both language models."""
    small, large = made_nodes(6, 4, 1), made_nodes(9, 7, 2)
    small.atom_mask[:, 4, 1] = False  # no dihedrals
    large.atom_mask[:, 7, 3] = False
    large.atom_mask[:, 12] = False  # a residue without backbone
    nodes = together(padded(small, 19), large)
    return nodes, *made_embeddings(2, 19)


def made_embeddings(b: int, length: int) -> tuple[Tensor, Tensor]:
    """Random embeddings of both language models."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(b, length, PROTEIN_LM, generator=generator), torch.randn(b, length, RNA_LM, generator=generator)


def seeded(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with every weight moved away from its initial value, so that zeros and ones hide no mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()
