"""Peers that the tests compare with, imported although parts that nobody needs here are missing.

zennit, and quantus where it finds zennit, import torchvision for two ResNet blocks. Builds of torchvision do not fit
every build of torch, and once installed Lightning and MLflow import it too; so it is not installed, and empty
classes stand in for those blocks while the peer is imported.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest
from torch import nn

MISSING = {"torchvision": (), "torchvision.models": (), "torchvision.models.resnet": ("BasicBlock", "Bottleneck")}


def peer(name: str) -> ModuleType:
    """The peer's package; skips the test, saying so, where it is not installed."""
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # type: ignore[attr-defined]  # quantus 0.6 calls it, numpy 2.4 lacks it
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed; expected the packages of requirements-dev.lock", allow_module_level=True)
    with _standing_in():
        return importlib.import_module(name)


@contextmanager
def _standing_in() -> Iterator[None]:
    absent = {name: classes for name, classes in MISSING.items() if name not in sys.modules}
    for name, classes in absent.items():
        module = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        for known in classes:
            setattr(module, known, type(known, (nn.Module,), {}))
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
