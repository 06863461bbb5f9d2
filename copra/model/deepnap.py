"""A network of DeePNAP's kind (Pandey et al. 2024): 1-D convolutions over both whole sequences, letters alone.

Layers and sizes are ours: the original is described as a convolutional network on the two sequences, and offered as a
web server.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_experiments import DeepNap
from copra.errors import InputError
from copra.model.heads import AffinityHead
from copra.model.pair_features import N_RESIDUE_TYPES, PADDING_TYPE, Nodes

MOLECULES = (0, 1)  # protein, RNA


def build_affinity_model(experiment: DeepNap, protein_lm_width: int, rna_lm_width: int) -> DeepNapModel:
    """The model of an experiment; raises InputError where it is given a language model, which it cannot read."""
    if protein_lm_width or rna_lm_width:
        raise InputError("model deepnap reads letters alone; expected protein_lm and rna_lm to be null")
    return DeepNapModel(experiment)


class DeepNapModel(nn.Module):
    """A stack of convolutions per molecule, the largest and the mean value of each channel, an MLP on all of them."""

    def __init__(self, experiment: DeepNap) -> None:
        super().__init__()
        self.gap = experiment.kernel  # no convolution reaches further
        self.stacks = nn.ModuleList(
            ConvolutionStack(experiment.channels, experiment.kernel, experiment.dropout) for _ in MOLECULES
        )
        self.head = AffinityHead(2 * len(MOLECULES) * experiment.channels[-1], experiment.head_width)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]; both embeddings are None."""
        parts = [stack(chain_letters(nodes, molecule, self.gap)) for molecule, stack in enumerate(self.stacks)]
        return self.head(torch.cat(parts, dim=-1)).float()


def chain_letters(nodes: Nodes, molecule: int, gap: int) -> Tensor:
    """The residue types of one molecule, chain after chain with `gap` blanks between them, int64 [B, T].

    Blanks and what is behind the last chain are of the type of padding; residues of a chain stand together.
    """
    own, chain = nodes.molecule == molecule, nodes.chain
    steps = own.long()
    border = own[:, 1:] & (chain[:, 1:] != chain[:, :-1]) & (steps.cumsum(1)[:, 1:] > 1)
    steps[:, 1:] += border * gap
    place = steps.cumsum(1) - 1
    rows, columns = own.nonzero(as_tuple=True)
    length = int(place[rows, columns].max()) + 1 if len(rows) else 1
    letters = torch.full((len(own), length), PADDING_TYPE, device=own.device)
    letters[rows, place[rows, columns]] = nodes.residue_type[rows, columns]
    return letters


class ConvolutionStack(nn.Module):
    """Letters -> convolutions with ReLU -> maximum and mean over the residues.

    Blanks are zero again after every layer, so that a convolution that reaches into them reads what it would read
    behind the end of a single chain: neither padding nor another chain has any influence.
    """

    def __init__(self, channels: list[int], kernel: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = nn.Embedding(N_RESIDUE_TYPES, channels[0], padding_idx=PADDING_TYPE)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding="same")
            for before, after in zip([channels[0], *channels], channels, strict=False)
        )

    def forward(self, letters: Tensor) -> Tensor:
        """int64 [B, T] -> [B, 2 channels]; zero where a sample has no letter."""
        present = (letters != PADDING_TYPE)[:, None]  # [B, 1, T]
        x = self.embedding(letters).transpose(1, 2) * present
        for convolution in self.convolutions:
            x = F.dropout(F.relu(convolution(x)), self.dropout, self.training) * present
        mean = x.sum(-1) / present.sum(-1).clamp(min=1)
        return torch.cat((x.amax(-1), mean), dim=-1)  # after ReLU no residue is below the blanks' zero
