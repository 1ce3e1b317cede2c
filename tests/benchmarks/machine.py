"""The machine that a table was measured on, in one line, and how torch is set."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def described(device: str) -> str:
    """Processor or GPU, threads, and the versions that matter."""
    if device != "cpu":
        tf32 = "TF32 on" if torch.backends.cuda.matmul.allow_tf32 else "TF32 off"
        return f"{torch.cuda.get_device_name(device)}, {tf32}, torch {torch.__version__}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor()}, {cores} cores, {torch.get_num_threads()} thread, torch {torch.__version__}"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        names = [line.partition(":")[2].strip() for line in listed.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def use_tf32(on: bool) -> None:
    """Whether a GPU may round the factors of products to 10 bits."""
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on
