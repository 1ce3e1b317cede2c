"""Where relevance filters act: the points of Tjoa et al., found in the graph of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import fx

from ...protocols import RelevanceFilter
from .descent import SCORE
from .graph import Network, Step, kind_of
from .linear_maps import TransposeConvolved
from .operations import Weighted
from .propagation import is_join
from .tracing import traced

Filters = Mapping[str, RelevanceFilter]
"""Filters by point: a layer's name, that with the place of one of its inputs (``cat[1]``), or `SCORE`."""


def filter_points(model: Any) -> tuple[str, ...]:
    """The points at which Tjoa et al. filter, from the score down: 15 in their U-Net of four levels.

    They are what is handed down by the score; by the last linear map; by every concatenation of channels, to its
    last part first; by every upsampling; and by every convolution that reads a pool or the inputs. Not by pools, nor
    where a skip and a pool meet. Raises ValueError as `traced`.
    """
    return points_of(traced(model))


def points_of(network: Network) -> tuple[str, ...]:
    """As `filter_points`, of a traced network."""
    steps = {step.node: step for step in network.steps}
    found, maps_seen = [SCORE], 0
    for step in network.downwards():
        maps_seen += isinstance(step.operation, Weighted)
        if is_join(step):
            places = range(len(set(step.node.all_input_nodes)))
            found += [f"{step.name}[{place}]" for place in reversed(places)]
        elif _enlarges(step) or (isinstance(step.operation, Weighted) and (maps_seen == 1 or _begins(step, steps))):
            found.append(step.name)
    return tuple(found)


def placed(filters: Sequence[RelevanceFilter], points: Sequence[str] | None, network: Network) -> Filters:
    """The filters by point; ValueError where they are neither one nor one for each, and for an unknown point."""
    chosen = points_of(network) if points is None else points
    for point in points or ():
        _require(point, network)
    if len(filters) not in (1, len(chosen)):
        raise ValueError(f"filters holds {len(filters)}; expected 1 or {len(chosen)}: {', '.join(chosen)}.")
    return dict(zip(chosen, filters if len(filters) > 1 else [filters[0]] * len(chosen), strict=True))


def filter_at(filters: Filters, name: str, place: int) -> RelevanceFilter | None:
    """The filter of what a layer hands to the input at a place; None where there is none."""
    return filters.get(f"{name}[{place}]", filters.get(name))


def _require(point: str, network: Network) -> None:
    names = [SCORE, *(step.name for step in network.steps if step.operation is not None)]
    if point.partition("[")[0] not in names:
        raise ValueError(f"points names {point!r}; expected a layer of the model: {', '.join(names)}.")


def _enlarges(step: Step) -> bool:
    if isinstance(step.operation, Weighted):
        return isinstance(step.operation.linear, TransposeConvolved)
    return step.operation is not None and ("upsampl" in kind_of(step).lower() or kind_of(step) == "interpolate")


def _begins(step: Step, steps: Mapping[fx.Node, Step]) -> bool:
    """Whether a pool or the inputs stand before a linear map, with no other map or join between."""
    node = step.node.all_input_nodes[0]
    while node in steps:
        above = steps[node]
        if "pool" in kind_of(above).lower():
            return True
        if isinstance(above.operation, Weighted) or len(set(node.all_input_nodes)) != 1:
            return False
        node = node.all_input_nodes[0]
    return True
