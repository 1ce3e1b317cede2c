"""The layers of a network as a diagram needs them, read from the network itself."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx, nn

STARTS = ("input", "conv", "pool", "cat", "linear", "lstm", "upsample", "interpolate")
"""Kinds of layers, or beginnings of them, that stand in a line of their own; others follow on the line above."""


@dataclass(frozen=True)
class Layer:
    """One step of a network: its ``name``, ``kind``, output ``shape``, and whose outputs it takes.

    The shape is ``(channel, *grid)``, of an LSTM ``(step, unit)``, of what follows the grid ``(feature,)``.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...] = ()

    @property
    def starts(self) -> bool:
        """Whether it stands in a line of its own: it mixes, joins or resizes; norms, activations and crops do not."""
        return any(start in self.kind.lower() for start in STARTS)


def network_layers(model: nn.Module, inputs: Tensor) -> tuple[Layer, ...]:
    """Every step that gives a tensor ``(sample, *shape)``, in the order of the forward pass on ``inputs``.

    Names are those of `xai.methods.lrp.filter_points`: of a module its path, of a function its node in the graph
    (``cat_1``). Steps that do nothing are left out. The network is run once, in evaluation mode and without gradient.
    """
    training = model.training
    recorder = _Recorder(fx.symbolic_trace(model.eval()))
    try:
        with torch.no_grad():
            recorder.run(inputs)
    finally:
        model.train(training)
    return tuple(recorder.layers.values())


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps what each step gave."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.layers: dict[fx.Node, Layer] = {}
        self._stands_for: dict[fx.Node, fx.Node] = {}
        self._with_states: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        """As `fx.Interpreter.run_node`."""
        found = super().run_node(n)
        if n.op == "call_function" and n.target is getitem and n.args[0] in self._with_states:
            self._stands_for[n] = self._stands_for[n.all_input_nodes[0]]
            return found
        shown = found
        if isinstance(found, tuple) and found and isinstance(found[0], Tensor):
            shown = found[0]  # an LSTM's outputs; its last states come behind
            self._with_states.add(n)
        if isinstance(shown, Tensor) and shown.dim() > 1 and n.op != "output":
            self._keep(n, tuple(shown.shape[1:]))
        return found

    def _keep(self, node: fx.Node, shape: tuple[int, ...]) -> None:
        before = [self._stands_for[each] for each in node.all_input_nodes if each in self._stands_for]
        kind = self._kind(node)
        if kind == "Identity":
            self._stands_for[node] = before[0]
            return
        name = str(node.target) if node.op in ("call_module", "placeholder") else node.name
        self._stands_for[node] = node
        self.layers[node] = Layer(name, kind, shape, tuple(dict.fromkeys(self.layers[each].name for each in before)))

    def _kind(self, node: fx.Node) -> str:
        if node.op == "placeholder":
            return "input"
        if node.op == "call_module":
            module = self.fetch_attr(str(node.target))
            layers = f"{module.num_layers}-layer " if isinstance(module, nn.LSTM) else ""
            return layers + type(module).__name__
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
        return "crop" if name == "getitem" else str(name)


def kind_of(layer: Layer) -> str:
    """The kind in words, without its number of dimensions, which the grid tells."""
    return "concatenation" if layer.kind == "cat" else re.sub(r"[123]d$", "", layer.kind)


def scale_of(layer: Layer, first: Layer) -> int:
    """How often the grid was halved on the way from ``first`` to the layer, to the nearest whole number."""
    return round(math.log2(max(first.shape[1:]) / max(layer.shape[1:])))
