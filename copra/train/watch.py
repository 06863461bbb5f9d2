"""What a person sees of a training run: a bar on a terminal, lines in a log, event files for TensorBoard."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from copra.train.ranks import ranks
from copra.train.state import State

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 60.0
TENSORBOARD = "COPRA_TENSORBOARD"  # set to 1: event files in the folder `tensorboard` beside the checkpoint


class Watch:
    """Shows how far a run is; on every process but the first it shows nothing."""

    def __init__(self, epochs: int, n_batches: int, state: State, events: Any) -> None:
        """`events` is a writer of TensorBoard's or None."""
        self._epochs, self._n_batches, self._events = epochs, n_batches, events
        self._first = ranks().first
        self._terminal = self._first and sys.stderr.isatty()
        self._last_line = time.monotonic()
        self._bar = tqdm(total=epochs, initial=state.epoch, unit="epoch", disable=not self._terminal)
        # of the batches within an epoch; it appears where an epoch takes longer than two seconds
        self._inner = tqdm(total=n_batches, unit="batch", leave=False, delay=2, disable=not self._terminal)
        for line in state.history:
            self._write_events(line)

    def batch(self, epoch: int, number: int, loss: float) -> None:
        """One batch is done; `number` counts from 1."""
        if self._terminal:
            self._inner.update(number - self._inner.n)
            self._inner.set_postfix(loss=f"{loss:.3f}", refresh=False)
        elif self._first and self._minute_is_over():
            log.info("epoch %d, batch %d of %d: loss %.4f", epoch, number, self._n_batches, loss)

    def epoch(self, state: State) -> None:
        """One epoch is done; in a log every tenth of the epochs is told, and long ones all."""
        line = state.history[-1]
        self._write_events(line)
        losses = {"train": f"{line['training_loss']:.3f}", "validation": f"{line['validation_loss']:.3f}"}
        if self._terminal:
            self._bar.set_postfix(losses)
            self._bar.update(1)
            self._inner.reset()
        told = state.epoch % max(1, self._epochs // 10) == 0 or state.epoch == 1
        if self._first and not self._terminal and (told or self._minute_is_over()):
            log.info(
                "epoch %d of %d: training loss %.4f, validation loss %.4f, best %.4f in epoch %d",
                *(state.epoch, self._epochs, line["training_loss"], line["validation_loss"]),
                *(state.best_loss, state.best_epoch),
            )

    def close(self) -> None:
        """Leave the terminal tidy."""
        self._inner.close()
        self._bar.close()

    def _minute_is_over(self) -> bool:
        now = time.monotonic()
        if now - self._last_line < SECONDS_BETWEEN_LINES:
            return False
        self._last_line = now
        return True

    def _write_events(self, line: dict[str, float]) -> None:
        if self._events is not None:
            for name, value in line.items():
                if name != "epoch":
                    self._events.add_scalar(name, value, int(line["epoch"]))
            self._events.flush()


@contextmanager
def watching(epochs: int, n_batches: int, state: State, folder: Path) -> Iterator[Watch]:
    """A `Watch` for the length of a run, going on from `state`."""
    with ExitStack() as stack:
        events = _event_writer(folder / "tensorboard")
        if events is not None:
            stack.callback(events.close)
        watch = Watch(epochs, n_batches, state, events)
        stack.callback(watch.close)
        yield watch


def _event_writer(folder: Path) -> Any:
    """TensorBoard's writer of event files where the environment asks for it, otherwise None.

    The folder is begun anew, and the history written into it again: no epoch is doubled by a run that was killed.
    """
    if os.environ.get(TENSORBOARD) != "1" or not ranks().first:
        return None
    if importlib.util.find_spec("tensorboard") is None:
        log.warning("%s=1, but the package tensorboard is not installed: no event files", TENSORBOARD)
        return None
    from torch.utils.tensorboard import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(str(folder))
