"""Bi-scope pre-training: do this protein and this RNA interact (CPRI), and how far apart are their residues (MIDM).

Equation numbers are those of the CoPRA paper (AAAI 2025). Two passes through Co-Former, with the same weights: the
first keeps attention within the molecules, so that the protein node knows nothing of its RNA; the second lets the
molecules see each other, as the distances across the interface need. One pass could not do both: the protein node
would read its partner off, and the contrast would be won without learning anything.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.model.attention import COMPLEX_NODE, PROTEIN_NODE, RNA_NODE
from copra.model.coformer import Coformer, CoformerShape, View
from copra.model.pair_features import N_SPECIAL, PADDING_TYPE, Nodes
from copra.structure.distance_bins import N_BINS
from copra.train.ranks import gather_rows, ranks, tell_all

PROTEIN, RNA, COMPLEX, PADDING = 0, 1, 2, 3  # sides; the first two as in Nodes.molecule
ContrastPass = Literal["together", "apart"]


class PretrainingModel(nn.Module):
    """Co-Former with what both tasks read off it."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.design = shape.design
        self.coformer = Coformer(shape)
        self.distance_head = nn.Linear(shape.pair_width, N_BINS)

    def molecules(
        self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None, contrast_pass: ContrastPass
    ) -> Tensor:
        """P^s and R^s, the protein and the RNA node of the contrast's pass, [B, 2, sequence_width].

        `together`: both molecules in one pass under the mask M, as in the paper. What M lets through: with
        positions (`rotary`) the RNA node can tell how many protein residues stand before its nucleotides, and with
        M multiplied after the softmax the other molecule counts in its sum; both tell a little of the partner.
        `apart`: each molecule in a pass of its own, which tells nothing and costs less.
        """
        if contrast_pass == "apart":
            alone = [only_molecule(nodes, protein_lm, rna_lm, molecule) for molecule in (PROTEIN, RNA)]
            rows = [self._molecule_nodes(*inputs)[:, molecule] for molecule, inputs in enumerate(alone)]
            return torch.stack(rows, dim=1)
        return self._molecule_nodes(nodes, protein_lm, rna_lm)

    def _molecule_nodes(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        hidden = across_sides(nodes) if self.design.contrast_hides_pairs else None
        s, _ = self.coformer(nodes, protein_lm, rna_lm, View(hidden_pairs=hidden, within_molecules=True))
        return s[:, PROTEIN_NODE : RNA_NODE + 1]

    def distance_logits(
        self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None, hidden: Tensor | None, pairs: Tensor
    ) -> Tensor:
        """O = Interface(Linear(Z^(N))) (9): logits of the bins, [M, 40], of the M chosen `pairs` (bool [B, L, L]).

        `hidden` (bool [B, L, L]) are the pairs whose embedding is masked; None for no mask.
        """
        _, z = self.coformer(nodes, protein_lm, rna_lm, View(hidden_pairs=hidden, within_molecules=False))
        return self.distance_head(z[pairs])  # chosen before the linear layer: the same numbers, less memory


def only_molecule(
    nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None, molecule: int
) -> tuple[Nodes, Tensor | None, Tensor | None]:
    """The nodes of one molecule (PROTEIN or RNA), directly behind the special nodes, as inputs of Co-Former.

    The special nodes stay, so that rows keep their meaning, but those of the complex and of the other molecule lose
    their place in space.
    """
    own = nodes.molecule == molecule  # [B, L]
    own[:, :N_SPECIAL] = True
    length = int(own.sum(1).max())
    order = torch.sort(own.byte(), dim=1, descending=True, stable=True).indices[:, :length]  # own first, in order
    kept = own.gather(1, order)

    def taken(x: Tensor, padding: float) -> Tensor:
        rows = x.gather(1, order.view(*order.shape, *[1] * (x.dim() - 2)).expand(*order.shape, *x.shape[2:]))
        return rows.masked_fill(~kept.view(*kept.shape, *[1] * (x.dim() - 2)), padding)

    atom_mask = taken(nodes.atom_mask, False)
    nowhere = [COMPLEX_NODE, RNA_NODE if molecule == PROTEIN else PROTEIN_NODE]
    atom_mask[:, nowhere] = False
    xyz = taken(nodes.xyz_angstrom, 0.0)
    xyz[:, nowhere] = 0.0
    alone = Nodes(
        residue_type=taken(nodes.residue_type, PADDING_TYPE),
        molecule=taken(nodes.molecule, -1),
        chain=taken(nodes.chain, -1),
        polymer_index=taken(nodes.polymer_index, -1),
        xyz_angstrom=xyz,
        atom_mask=atom_mask,
    )
    lms = [None if lm is None else taken(lm, 0.0) for lm in (protein_lm, rna_lm)]
    return alone, lms[0], lms[1]


def sides(nodes: Nodes) -> Tensor:
    """The side of each node, int64 [B, L]: a molecule's node belongs to it, the complex node to neither."""
    side = torch.where(nodes.is_residue, nodes.molecule, PADDING)
    side[:, [COMPLEX_NODE, PROTEIN_NODE, RNA_NODE]] = torch.tensor([COMPLEX, PROTEIN, RNA], device=side.device)
    return side


def across_sides(nodes: Nodes) -> Tensor:
    """The pairs that tell how the molecules lie to each other, bool [B, L, L].

    These are not only protein-RNA pairs: the complex node stands at the centre of both, so its distance to a
    protein's residue tells where the RNA is.
    """
    side = sides(nodes)
    return side[:, :, None] != side[:, None, :]


def interface_pairs(nodes: Nodes) -> Tensor:
    """The pairs of a protein residue and a nucleotide, in both directions, bool [B, L, L]."""
    protein, rna = nodes.molecule == PROTEIN, nodes.molecule == RNA
    one_way = protein[:, :, None] & rna[:, None, :]
    return one_way | one_way.transpose(1, 2)


def residue_pairs(nodes: Nodes) -> Tensor:
    """All pairs of residues, with themselves too as (10) has it, bool [B, L, L]."""
    return nodes.is_residue[:, :, None] & nodes.is_residue[:, None, :]


def contrast_loss(
    molecules: Tensor, sequences: Tensor | None, temperature: float, divisor: Literal["batch", "batch_squared"]
) -> Tensor:
    """L_CPRI, (6) to (8), over the K complexes of all ranks: this rank's share, which add up to the loss.

    `molecules` [k, 2, d] are P^s and R^s of this rank's complexes. Every other complex of the batch is a negative,
    as in the paper; with `sequences` (int64 [k, 2], numbers of the protein's and of the RNA's sequence) the
    complexes that share a sequence with the row's are left out of its sum, being no negatives.

    As printed, (6) and (7) carry 1/K and (8) adds K of them: divisor `batch`, which is the mean of the two
    cross-entropies that the official code has. `batch_squared` has one 1/K more: what (8) would be as a mean over i.
    """
    own = F.normalize(molecules.float(), dim=-1)  # s is the cosine similarity
    everyone = gather_rows(own)
    k = len(everyone)
    targets = torch.arange(len(own), device=own.device) + _rows_before(len(own))
    total = own.new_zeros(())
    for this, other in ((0, 1), (1, 0)):  # (6), then (7)
        logits = own[:, this] @ everyone[:, other].T / temperature  # [k, K]
        if sequences is not None:
            logits = logits.masked_fill(_no_negatives(sequences, targets), float("-inf"))
        total = total + F.cross_entropy(logits, targets, reduction="sum")
    return total / (2 * k if divisor == "batch" else 2 * k * k)  # (8)


def _no_negatives(sequences: Tensor, targets: Tensor) -> Tensor:
    """Which complexes share a sequence with which of this rank's, themselves aside, bool [k, K]."""
    with torch.no_grad():
        everyone = gather_rows(sequences.double()).long()  # exact: they are small numbers
    same = (sequences[:, None] == everyone[None]).any(-1)
    same[torch.arange(len(targets), device=same.device), targets] = False
    return same


def _rows_before(n: int) -> int:
    """How many rows the ranks before this one have."""
    counts = tell_all(torch.tensor([float(n)], dtype=torch.float64))[:, 0]
    return int(counts[: ranks().rank].sum())


def distance_loss(
    logits: Tensor,
    labels: Tensor,
    pairs: Tensor,
    n_residues: Tensor,
    temperature: float,
    mean: Literal["complex", "pairs"],
) -> Tensor:
    """L_MIDM, (10) and the sum of (11), over the complexes of all ranks: this rank's share.

    `logits` [M, 40] and `labels` (int64 [M]) are those of the M chosen `pairs` (bool [B, L, L]), `n_residues` [B] the
    complexes' residues. `complex`: as printed, each complex's sum over L^2, L being its residues, then the mean over
    complexes. `pairs`: the mean over all pairs of the batch together: a large interface weighs more (official).
    """
    entropy = F.cross_entropy(logits.float() / temperature, labels, reduction="none")  # [M]
    if mean == "pairs":
        return entropy.sum() / _over_ranks(len(entropy))
    weight = 1.0 / n_residues.float() ** 2
    return (entropy * weight[pairs.nonzero()[:, 0]]).sum() / _over_ranks(len(n_residues))


def _over_ranks(n: int) -> float:
    return max(1.0, float(tell_all(torch.tensor([float(n)], dtype=torch.float64)).sum()))
