"""The released sizes of the language models, and the memory that running one takes."""

from __future__ import annotations

from copra.config import Encoder

# layers, width, heads
SIZES: dict[str, dict[str, tuple[int, int, int]]] = {
    "esm2": {
        "8M": (6, 320, 20),
        "35M": (12, 480, 20),
        "150M": (30, 640, 20),
        "650M": (33, 1280, 20),
        "3B": (36, 2560, 40),
        "15B": (48, 5120, 40),
    },
    "rinalmo": {"micro": (12, 480, 20), "mega": (30, 640, 20), "giga": (33, 1280, 20)},
}

FLOAT32_BYTES = 4
LIBRARIES_MB = 1500
LONGEST_TOKENS = 1024  # longer sequences go through the models in windows of this length
LONGEST_RESIDUES = 36_000  # titin, the longest protein known
ACTIVATIONS_PER_TOKEN = 30  # arrays of the model's width that live at a time
ATTENTION_MATRICES = 3  # [heads, T, T] that live at a time where the attention is not computed in blocks
SEQUENCE_ARRAYS = 5  # windows, blended and rounded rows of one sequence, and what the rounding changed


def memory_mb(model: Encoder, max_tokens_per_batch: int, attempt: int) -> int:
    """The memory in MB to ask for: twice the float32 weights (the file and the model), a batch, a sequence's rows.

    No batch has more tokens than the budget or, where that is less, one window; so a long sequence costs no more than
    its rows. Which there are is not known before the jobs: the longest known is allowed for. Each attempt allows for
    one batch more.
    """
    weights = 2 * 12 * model.layers * model.width**2  # 12 width^2 per layer: attention 4, transition 8
    per_token = ACTIVATIONS_PER_TOKEN * model.width + ATTENTION_MATRICES * model.heads * LONGEST_TOKENS
    batches = attempt * max(max_tokens_per_batch, LONGEST_TOKENS) * per_token
    rows = SEQUENCE_ARRAYS * LONGEST_RESIDUES * model.width
    return LIBRARIES_MB + FLOAT32_BYTES * (weights + batches + rows) // 10**6
