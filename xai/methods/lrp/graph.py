"""The graph of a network as LRP walks it: named calls in order, each knowing how relevance goes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn

from .layer import Layer
from .rules import Rule


@dataclass(frozen=True)
class Passed:
    """Relevance past one call: ``leaving (rule, sample, ...)`` for each of its inputs.

    ``kept`` says what biases and stabilisers kept, each ``(rule, sample)`` in float64; None where nothing can be.
    """

    leaving: Sequence[Tensor]
    kept: Callable[[], tuple[Tensor, Tensor]] | None = None


@dataclass(frozen=True)
class Call:
    """One call on one batch: tensors in, a tensor out.

    ``inputs`` are the distinct tensors ``(sample, ...)`` that depend on the network's inputs, ``output (sample,
    ...)`` is what came out, ``run`` repeats the call on other inputs.
    """

    inputs: Sequence[Tensor]
    output: Tensor
    run: Callable[[Sequence[Tensor]], Tensor]


class Operation(Protocol):
    """What relevance does at a kind of call."""

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in place of ``function`` on the way up."""
        ...

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """Takes the relevance ``(rule, sample, ...)`` of the output to the inputs.

        Raises ValueError, a sentence without its subject, where it cannot.
        """
        ...


@dataclass(frozen=True)
class Step:
    """One node of the graph: its name for users, what it calls, and what relevance does there.

    ``operation`` is None where LRP does not know the function: an error only if a signal passes through it.
    ``layer`` is the position of a linear map or of an LSTM, None for all else.
    """

    name: str
    node: fx.Node
    function: Callable[..., Any]
    operation: Operation | None
    layer: Layer | None = None


@dataclass(frozen=True)
class Signals:
    """The values of all nodes on one batch, and which nodes a signal reaches: tensors that depend on the inputs."""

    values: dict[fx.Node, Any]
    sources: dict[fx.Node, tuple[fx.Node, ...]]
    steps: Mapping[fx.Node, Step]

    def put(self, step: Step) -> None:
        """Works out one more node. Raises ValueError where LRP does not know what a signal meets there."""
        read, value = self.read(step.node), self.evaluated(step.node, {})
        whole = isinstance(value, Tensor) and value.is_floating_point()
        in_pieces = isinstance(value, tuple | list) and any(isinstance(piece, Tensor) for piece in value)
        if read and (whole or in_pieces):
            if step.operation is None:
                raise ValueError(f"Layer {step.name!r} is a {kind_of(step)}; {SUPPORTED}")
            # whoever takes a piece of a tensor reads what the whole was made of
            self.sources[step.node] = (step.node,) if whole else read
        self.values[step.node] = value

    def call(self, step: Step) -> Call:
        """The call of a node that a signal reaches."""
        nodes = self.read(step.node)
        return Call(
            inputs=[self.values[node] for node in nodes],
            output=self.values[step.node],
            run=lambda tensors: self.evaluated(step.node, dict(zip(nodes, tensors, strict=True))),
        )

    def most_values(self) -> int:
        """Values of the largest layer."""
        return max(value.numel() for value in self.values.values() if isinstance(value, Tensor))

    def read(self, node: fx.Node) -> tuple[fx.Node, ...]:
        """The nodes whose signals a node takes in."""
        parents = node.all_input_nodes
        return tuple(dict.fromkeys(source for parent in parents for source in self.sources.get(parent, ())))

    def evaluated(self, node: fx.Node, replaced: Mapping[fx.Node, Tensor]) -> Any:
        """The value of a node where others have the values ``replaced``."""

        def value_of(other: fx.Node) -> Any:
            if other in replaced:
                return replaced[other]
            in_pieces = self.sources.get(other, (other,)) != (other,)
            return self.evaluated(other, replaced) if in_pieces and replaced else self.values[other]

        step = self.steps[node]
        function = step.function if step.operation is None else step.operation.forward(step.function)
        return function(*fx.node.map_arg(node.args, value_of), **fx.node.map_arg(node.kwargs, value_of))


SUPPORTED = (
    "LRP supports linear and convolution layers, LSTM layers, batch norm, pools, activations, dropout, upsampling, "
    "sums, concatenation, reshaping, padding and slicing."
)


def kind_of(step: Step) -> str:
    """The type of a layer, or the name of a function, as an error states it."""
    if isinstance(step.function, nn.Module):
        return type(step.function).__name__
    return str(step.node.target if step.node.op == "call_method" else getattr(step.function, "__name__", step.function))


@dataclass(frozen=True)
class Network:
    """A traced network: ``start`` and ``end`` are its input and its output node, ``steps`` all between, in order."""

    steps: Sequence[Step]
    start: fx.Node
    end: fx.Node

    def run(self, inputs: Tensor) -> Signals:
        """The values of all nodes for ``inputs (sample, channel, *grid)``, without a gradient.

        Raises ValueError naming the layer that LRP does not support.
        """
        signals = Signals({self.start: inputs}, {self.start: (self.start,)}, {step.node: step for step in self.steps})
        with torch.no_grad():
            for step in self.steps:
                signals.put(step)
        return signals

    def downwards(self) -> Iterator[Step]:
        """The steps from the output to the input."""
        return reversed(self.steps)
