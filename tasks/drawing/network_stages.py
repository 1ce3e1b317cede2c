"""The layers of a network, gathered into the few stages that a reader tells apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .network_layers import Layer, kind_of

RESHAPES = ("unflatten", "flatten", "Flatten", "Unflatten", "transpose", "permute", "reshape", "view")


@dataclass(frozen=True)
class Stage:
    """Layers that a reader takes as one: those of a part of the network, or one that stands alone."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what it gives."""
        return self.layers[-1].shape

    @property
    def shapes(self) -> str:
        """What its first layer gives and, where that differs, its last."""
        ends = dict.fromkeys(" × ".join(map(str, layer.shape)) for layer in (self.layers[0], self.layers[-1]))
        return " → ".join(ends)

    @property
    def kinds(self) -> str:
        """The kinds of its layers that mix, join or resize, each with its number; else those of all."""
        found = Counter(kind_of(layer) for layer in self.layers if layer.starts or layer.kind == "add")
        return ", ".join(f"{count}×{kind}" if count > 1 else kind for kind, count in found.items()) or ", ".join(
            dict.fromkeys(kind_of(layer) for layer in self.layers)
        )


def stages(layers: Sequence[Layer]) -> tuple[Stage, ...]:
    """The stages of `network_layers` in their order.

    A stage is named by its path, without the layer's own name and cut behind the first number: ``units.0.body.3`` is of
    ``units.0``. What neither mixes nor resizes belongs to the stage before it, but for what follows the input and what
    gives up the grid, such as a mean over it.
    """
    gathered: list[tuple[str, list[Layer]]] = []
    for layer in layers:
        name = _part(layer)
        if gathered and _belongs(layer, name, *gathered[-1]):
            gathered[-1][1].append(layer)
        else:
            gathered.append((name, [layer]))
    return tuple(Stage(name, tuple(found)) for name, found in gathered)


def merged(parts: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages with those that only a number tells apart as one: ``units.0`` and ``units.1`` as ``units.0–1``."""
    found: list[Stage] = []
    for series, members in groupby(parts, lambda part: part.name.rpartition(".")[0] or part.name):
        some = list(members)
        number = some[-1].name.rpartition(".")[2]
        name = f"{some[0].name}–{number}" if len(some) > 1 and series != some[0].name else some[0].name
        found.append(Stage(name, tuple(layer for part in some for layer in part.layers)))
    return tuple(found)


def _belongs(layer: Layer, name: str, last: str, before: Sequence[Layer]) -> bool:
    if name == last:
        return True
    if before[-1].kind == "input" or layer.starts:
        return False
    gives_up_grid = len(layer.shape) == 1 < len(before[-1].shape)
    return layer.kind == "crop" or ("." not in layer.name and not gives_up_grid)


def _part(layer: Layer) -> str:
    if layer.kind in RESHAPES:
        return "reshape"
    path = layer.name.split(".")[:-1] or [layer.name]
    number = next((place for place, part in enumerate(path) if part.isdigit()), len(path))
    return ".".join(path[: number + 1])
