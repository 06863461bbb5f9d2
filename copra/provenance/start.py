"""What is looked at when snakemake starts, before any job; each text says what is wrong, where, and what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from copra.nearest import nearest


def unwritable(folders: Iterable[str]) -> str:
    """What to tell where snakemake could not write into the folder it runs in or into one of `folders`; else "".

    A folder that is not there yet is made in the nearest one above that is.
    """
    for folder in (".", ".snakemake", *folders):
        place = Path(folder)
        while not place.exists():
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            kind = (
                "no write permission there, or its disk is read-only"
                if place.is_dir()
                else "it is a file, not a folder"
            )
            return (
                f"cannot write to {place.resolve()}: {kind}\n"
                "copy the project to a folder of your own, or name others under `paths` in a file given with "
                "--configfile; then type the same command again"
            )
    return ""


def unknown_targets(workflow: Any) -> str:
    """What to tell about targets on snakemake's command line that no rule makes; "" where all are known.

    Every file that copra makes stands in a folder, so a word without a slash is meant to be the name of a rule.
    """
    asked = workflow.dag_settings.targets if workflow.dag_settings else ()
    rules = [rule.name for rule in workflow.rules if not rule.has_wildcards()]
    lost = [str(word) for word in asked or () if "/" not in str(word) and not workflow.is_rule(str(word))]
    if not lost:
        return ""
    return (
        f"No target is called '{lost[0]}'; {nearest(lost[0], rules)}\n"
        "`snakemake --list-target-rules` lists them; name an experiment in evaluate.table1 and make table1"
    )


def no_gpu() -> str:
    """What to tell a person who said `--resources gpu=N` for jobs on this machine; "" where PyTorch sees a GPU."""
    import torch  # a second or two, for those who ask

    if torch.cuda.is_available():
        return ""
    return (
        "--resources gpu was given, but PyTorch sees no GPU here: "
        f"torch {torch.__version__}, CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}\n"
        "look at `nvidia-smi`; where torch is without CUDA: `rm -rf .venv`, then `./run setup` on the machine with the "
        "GPU;\nto compute on the CPU, leave `--resources gpu` away"
    )
