"""From a module to the graph that LRP walks: traced by `torch.fx`, batch norms folded, every node given its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn
from torch.fx.proxy import TraceError

from .batch_norm import BatchNorm, can_be_folded_before, folded_after, folded_before
from .calls import function_of, read_what_was_changed
from .graph import Network, Operation, Step
from .layer import Layer
from .linear_maps import Convolution, LayerMap, Transposed, map_of
from .operations import Weighted
from .propagation import Propagation, with_legacy_skips
from .recurrent import Recurrent, reads_outputs
from .table import IDENTITY, operation_of

Linear = nn.Linear | Convolution | Transposed
DEFAULT = Propagation()


def traced(model: Any, propagation: Propagation = DEFAULT) -> Network:
    """The graph of a model that maps one tensor to one tensor; its own modules, parameters and mode stay as they are.

    ``propagation`` says what becomes of norms and skips.

    Raises ValueError for what is no module, for control flow that depends on values, and where the model takes or
    returns something else.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is a {type(model).__name__}; LRP expects a torch.nn.Module.")
    name = type(model).__name__
    tracer = fx.Tracer()
    root = nn.Sequential(model) if tracer.is_leaf_module(model, "") else model
    try:
        graph = tracer.trace(root)
    except (TraceError, RuntimeError, TypeError) as error:
        raise ValueError(f"model {name} cannot be traced: {error}; LRP expects no branch on its values.") from error
    nodes = list(graph.nodes)
    starts = [node for node in nodes if node.op == "placeholder" and node.users]
    if len(starts) != 1 or not isinstance(nodes[-1].args[0], fx.Node):
        raise ValueError(f"model {name} takes {len(starts)} inputs; LRP expects one tensor in and one tensor out.")
    modules = {node: root.get_submodule(str(node.target)) for node in nodes if node.op == "call_module"}
    read_what_was_changed(nodes, modules)
    _leave_out_what_nobody_reads(graph)
    end = nodes[-1].all_input_nodes[0]
    called = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    used = {node: modules[node] for node in called if node in modules}
    steps = _steps(root, called, used, fold=propagation.norms == "folded")
    return Network(with_legacy_skips(steps) if propagation.skips == "legacy" else steps, starts[0], end)


def layer_names(model: Any) -> list[str]:
    """Names of all layers and calls of a model, from the input up: where filters can stand, and rows of accounts."""
    return [step.name for step in traced(model).steps if step.operation is not None]


@dataclass(frozen=True)
class _Nodes:
    """The calls of a traced model: the ``modules`` among them, their linear ``maps``, and norms ``folded`` away.

    ``recurrent`` are its LSTMs.
    """

    modules: dict[fx.Node, nn.Module]
    maps: dict[fx.Node, LayerMap]
    folded: set[fx.Node]
    recurrent: dict[fx.Node, Recurrent]

    @classmethod
    def of(cls, modules: dict[fx.Node, nn.Module], fold: bool) -> _Nodes:
        """To ``fold`` puts batch norms into the linear map before them, else into the one after."""
        maps = {node: _map_of(node, module) for node, module in modules.items() if isinstance(module, Linear)}
        folded: set[fx.Node] = set()
        for node, norm in modules.items():
            if isinstance(norm, BatchNorm):
                _require_statistics(node, norm)
                if not fold:
                    continue
                (before,), after = node.all_input_nodes, next(iter(node.users), node)
                if before in maps and len(before.users) == 1:
                    maps[before] = folded_after(maps[before], norm)
                    folded.add(node)
                elif after in maps and len(node.users) == 1 and can_be_folded_before(maps[after]):
                    maps[after] = folded_before(norm, maps[after])
                    folded.add(node)
        recurrent = {node: _recurrent(node, module) for node, module in modules.items() if isinstance(module, nn.LSTM)}
        return cls(modules, maps, folded, recurrent)

    def operation(self, node: fx.Node) -> Operation | None:
        """What relevance does at a node; None where LRP does not know."""
        if node in self.maps:
            return Weighted(self.maps[node])
        if node in self.recurrent:
            return self.recurrent[node]
        if node in self.folded or self._is_outputs(node):
            return IDENTITY
        return operation_of(self.modules.get(node, node.target), node.kwargs)

    def layer(self, node: fx.Node, name: str, first: bool) -> Layer | None:
        """The position of a linear map or of an LSTM; None for another call."""
        if node in self.recurrent:
            return Layer(name, "recurrent", first)
        if node not in self.maps:
            return None
        return Layer(name, "linear" if isinstance(self.modules[node], nn.Linear) else "convolution", first)

    def _is_outputs(self, node: fx.Node) -> bool:
        """Whether a node takes the outputs out of what an LSTM returns: `Recurrent` returns nothing else."""
        return reads_outputs(node) and node.args[0] in self.recurrent


def _steps(model: nn.Module, called: Sequence[fx.Node], modules: dict[fx.Node, nn.Module], fold: bool) -> list[Step]:
    nodes = _Nodes.of(modules, fold)
    targets = Counter(node.target for node in modules)
    above_a_map: set[fx.Node] = set()
    steps = []
    for node in called:
        name = str(node.target) if targets[node.target] == 1 else node.name
        above = not above_a_map.isdisjoint(node.all_input_nodes)
        if above or node in nodes.maps or node in nodes.recurrent:
            above_a_map.add(node)
        layer = nodes.layer(node, name, first=not above)
        steps.append(Step(name, node, function_of(node, modules, model), nodes.operation(node), layer))
    return steps


def _map_of(node: fx.Node, layer: Linear) -> LayerMap:
    try:
        return map_of(layer)
    except ValueError as error:
        raise ValueError(f"Layer {node.target!r}: {error}") from None


def _leave_out_what_nobody_reads(graph: fx.Graph) -> None:
    """A model may take an LSTM's last states out of what it returns, and not use them."""
    for node in reversed(list(graph.nodes)):
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)


def _recurrent(node: fx.Node, layers: nn.LSTM) -> Recurrent:
    try:
        return Recurrent.at(node, layers)
    except ValueError as error:
        raise ValueError(f"Layer {node.target!r} {error}") from None


def _require_statistics(node: fx.Node, norm: BatchNorm) -> None:
    if norm.running_mean is None:
        raise ValueError(f"Layer {node.target!r}: track_running_stats is False; LRP expects running statistics.")
