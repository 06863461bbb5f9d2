"""The compiled pair kernels (pair_*.cpp): built once per machine and source, None where that cannot be done."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
SOURCES = ("pair_attention.cpp", "pair_encoder.cpp", "pair_mlp.cpp", "pair_update.cpp")
HEADER = "pair_simd.h"
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC", "-pthread")
BUILD_TIMEOUT_S = 300
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, compiled at the first call of the first process; later ones find them in the user's cache folder.

    None, with one line in the log, where there is no C++ compiler or COPRA_PAIR_KERNELS is "torch".
    """
    if os.environ.get("COPRA_PAIR_KERNELS") == "torch":
        return None
    compiler = next(filter(None, map(shutil.which, ("g++", "clang++"))), None)
    if compiler is None:
        log.info("no C++ compiler: Co-Former's pair operations run in PyTorch, several times slower")
        return None
    try:
        loaded = ctypes.CDLL(str(built(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        log.info("Co-Former's pair operations run in PyTorch, several times slower, as %s failed: %s", compiler, reason)
        return None
    keep_freed_memory()
    return loaded


def keep_freed_memory() -> None:
    """Ask glibc to give large freed tensors out again instead of returning them to the system; nothing elsewhere.

    A step of training frees and takes the same pair tensors again and again. In fresh memory each page of 4 KiB faults
    when it is first written, which costs a fifth of the step.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def built(compiler: str) -> Path:
    """The shared library of this source for this processor, compiled if it is not in the cache folder yet.

    Raises OSError or subprocess.SubprocessError when the folder cannot be written or the compiler fails.
    """
    key = hashlib.sha256()
    for name in (HEADER, *SOURCES):
        key.update((FOLDER / name).read_bytes())
    key.update(" ".join((*FLAGS, compiler, processor())).encode())
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "copra"
    target = cache_folder / f"pair_kernels_{key.hexdigest()[:16]}.so"
    if target.exists():
        return target
    cache_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder) as folder:
        made = Path(folder) / "kernels.so"
        command = [compiler, *FLAGS, *(str(FOLDER / name) for name in SOURCES), "-o", str(made)]
        subprocess.run(
            command, check=True, capture_output=True, encoding="utf-8", errors="replace", timeout=BUILD_TIMEOUT_S
        )
        made.replace(target)  # atomic: processes that build at the same time end with the same file
    return target


def processor() -> str:
    """What -march=native depends on: a cache folder may be shared by unequal machines."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join([platform.machine(), *sorted({line for line in lines if line.startswith(names)})])


def kernels_serve(*tensors: Tensor) -> bool:
    """Whether the kernels take these: float32 in the memory of a machine that has them."""
    return all(x.dtype == torch.float32 and x.device.type == "cpu" for x in tensors) and library() is not None


def kernels() -> ctypes.CDLL:
    """The kernels of a machine that has them (`kernels_serve`)."""
    loaded = library()
    assert loaded is not None
    return loaded


def address(tensor: Tensor | None) -> ctypes.c_void_p:
    """Of a contiguous tensor's data, null for None. The caller holds the tensor until the kernel is through."""
    if tensor is None:
        return ctypes.c_void_p(None)
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


def threads() -> ctypes.c_int:
    """How many threads a kernel may use: as many as PyTorch."""
    return ctypes.c_int(torch.get_num_threads())
