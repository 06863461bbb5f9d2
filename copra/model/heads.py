"""What is read off Co-Former's output."""

from __future__ import annotations

from torch import Tensor, nn


class AffinityHead(nn.Module):
    """dG = MLP(C^s): the complex node's embedding -> one number, in standard deviations of the training labels."""

    def __init__(self, sequence_width: int, head_width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(sequence_width, head_width),
            nn.ReLU(),
            nn.Linear(head_width, head_width),
            nn.ReLU(),
            nn.Linear(head_width, 1),
        )

    def forward(self, complex_node: Tensor) -> Tensor:
        """[B, sequence_width] -> [B]."""
        return self.layers(complex_node).squeeze(-1)
