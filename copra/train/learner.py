"""One step of the optimiser: precision, accumulation over batches, the sum over processes, clipping.

Gradients are summed over the processes by one exchange per step, not by torch's DistributedDataParallel: that
wrapper sees only calls of `forward`, wants every parameter in every loss and an exchange switched off for all but the
last of accumulated batches; and Co-Former's parameters are few beside its pair tensors, so that an exchange which
overlaps with the backward pass would win nothing that could be measured.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from copra.config_model import Training
from copra.train.ranks import sum_in_place, tell_all

log = logging.getLogger(__name__)
Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Learner:
    """A model and what changes it."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau | None
    scaler: torch.amp.GradScaler
    device: torch.device
    precision: Precision
    gradient_clip: float | None

    def autocast(self) -> AbstractContextManager[object]:
        """Matrix products in the chosen precision; parameters and sums stay float32."""
        dtype = DTYPES.get(self.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def backward(self, loss: Tensor, batches_to_a_step: int) -> None:
        """Add the gradient of this process's share of one batch, as a part of the mean over accumulated batches."""
        if loss.requires_grad:  # an empty share has none
            self.scaler.scale(loss / batches_to_a_step).backward()

    def step(self) -> float:
        """Change the weights by the accumulated gradients and return their norm before clipping.

        With a norm that is not finite the weights stay as they are.
        """
        parameters = self._gradients_of_all_ranks()
        self.scaler.unscale_(self.optimizer)
        limit = float("inf") if self.gradient_clip is None else self.gradient_clip
        norm = float(nn.utils.clip_grad_norm_(parameters, limit)) if parameters else 0.0
        if self.scaler.is_enabled():  # it skips the step by itself and tries a smaller scale next time
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif norm < float("inf"):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _gradients_of_all_ranks(self) -> list[nn.Parameter]:
        """Sum the gradients over the processes; a parameter that no process used stays without one."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float64)
        anywhere = tell_all(used).any(0).tolist()
        chosen = [p for p, yes in zip(parameters, anywhere, strict=True) if yes]
        gradients = []
        for parameter in chosen:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        sum_in_place(gradients)
        return chosen


def make_learner(model: nn.Module, training: Training) -> Learner:
    """The optimiser and its company as the configuration asks, on the device that holds the model.

    On a CPU the precision is always float32: half precision is emulated there and slower.
    """
    device = next(model.parameters()).device
    precision: Precision = training.precision
    if device.type == "cpu" and precision != "fp32":
        log.info("training on a CPU in fp32, not %s", precision)
        precision = "fp32"
    optimizer = torch.optim.AdamW(  # with a weight decay of 0 this is Adam
        [p for p in model.parameters() if p.requires_grad],
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
    )
    scheduler = None
    if training.plateau_factor is not None:
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=training.plateau_factor,
            patience=training.plateau_patience_epochs,
            min_lr=training.min_learning_rate,
        )
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    return Learner(model, optimizer, scheduler, scaler, device, precision, training.gradient_clip)
