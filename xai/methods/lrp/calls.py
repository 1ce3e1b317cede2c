"""What the nodes of a traced network call, made to leave their arguments as they are: LRP needs the values again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn

from .batch_norm import BatchNorm, left_alone


def function_of(node: fx.Node, modules: Mapping[fx.Node, nn.Module], model: nn.Module) -> Callable[..., Any]:
    """A function that does what the node of the ``model`` does, on a copy where that would change its argument."""
    function = _function(node, modules, model)
    if not _changes_its_argument(node, modules):
        return function
    return lambda tensor, *arguments, **keywords: function(tensor.clone(), *arguments, **keywords)


def read_what_was_changed(nodes: Sequence[fx.Node], modules: Mapping[fx.Node, nn.Module]) -> None:
    """Has whoever reads a value, after a call has changed it in place, read what the call returns: it is the same."""
    order = {node: place for place, node in enumerate(nodes)}
    for node in nodes:
        if _changes_its_argument(node, modules):
            changed = node.all_input_nodes[0]
            for user in list(changed.users):
                if order[user] > order[node]:
                    user.replace_input_with(changed, node)


def _function(node: fx.Node, modules: Mapping[fx.Node, nn.Module], model: nn.Module) -> Callable[..., Any]:
    if node.op == "get_attr":
        return partial(attrgetter(str(node.target)), model)
    if node.op == "call_method":
        name = str(node.target)
        return lambda tensor, *arguments, **keywords: getattr(tensor, name)(*arguments, **keywords)
    if node.op == "call_function":
        assert callable(node.target)
        return node.target
    module = modules[node]
    return partial(left_alone, module) if isinstance(module, BatchNorm) else module


def _changes_its_argument(node: fx.Node, modules: Mapping[fx.Node, nn.Module]) -> bool:
    if node.op == "call_method":
        return str(node.target).endswith("_")
    if node.op == "call_function":
        return node.target in (operator.iadd, operator.isub, torch.relu_) or bool(node.kwargs.get("inplace"))
    return bool(getattr(modules.get(node), "inplace", False))
