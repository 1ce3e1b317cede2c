"""What a served version takes and gives: the OpenAPI description of `mlflow/openapi.yaml`, with its own sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ..settings import CHECKOUT

CONTRACT = CHECKOUT / "mlflow" / "openapi.yaml"
LONGEST_EXAMPLE = 10_000
"""Numbers. A volume has hundreds of thousands; nobody reads them, and a page that shows them hangs."""


def describe(title: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The contract of ``mlflow/openapi.yaml`` narrowed to one version; ``title`` names it.

    ``metadata`` is what the version was registered with: classes, channels, units, sampling rate, grid. Requests get
    an example where a sample has LONGEST_EXAMPLE numbers or fewer.
    """
    contract: dict[str, Any] = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    sample = sample_shape(metadata)
    contract["info"]["title"] = title
    contract["info"]["description"] += _meaning(metadata)
    schemas = contract["components"]["schemas"]
    of_case = metadata["task"] == "segmentation"
    probability = (len(metadata["classes"]), *(sample[1:] if of_case else ()))
    for name, shape, bounds in (
        ("Samples", sample, {}),
        ("Attributions", sample, {}),
        ("Probabilities", probability, {"minimum": 0, "maximum": 1}),
    ):
        schemas[name] |= {"items": _arrays(shape, {"type": "number"} | bounds)}
    if math.prod(sample) <= LONGEST_EXAMPLE:
        body = contract["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
        inputs = example_of(metadata).tolist()
        body["examples"] = {
            "predict": {"value": {"inputs": inputs}},
            "explain": {"value": {"inputs": inputs, "params": {"explain": "gradient"}}},
        }
    return contract


def sample_shape(metadata: Mapping[str, Any]) -> tuple[int, ...]:
    """(channel, time) or (channel, depth, height, width) of one sample."""
    return (len(metadata["channels"]), *(metadata["volume"] or (metadata["window"],)))


def example_of(metadata: Mapping[str, Any]) -> NDArray[np.float32]:
    """One sample (1, channel, *grid) that no version refuses: a sine, another one in each channel."""
    shape = sample_shape(metadata)
    points = np.linspace(0, 8 * np.pi, math.prod(shape[1:]))
    waves = [np.sin(points * (channel + 1)) for channel in range(shape[0])]
    return np.stack(waves).reshape(1, *shape).astype(np.float32).round(4)


def _arrays(shape: Sequence[int], item: dict[str, Any]) -> dict[str, Any]:
    for size in reversed(shape):
        item = {"type": "array", "minItems": size, "maxItems": size, "items": item}
    return item


def _meaning(metadata: Mapping[str, Any]) -> str:
    channels = ", ".join(f"{c} in {u}" for c, u in zip(metadata["channels"], metadata["units"], strict=True))
    grid = "depth x height x width" if metadata["volume"] else f"points at {metadata['sampling_rate']:g} Hz"
    size = " x ".join(map(str, sample_shape(metadata)[1:]))
    return f"\nA sample: {channels}; {size} {grid}. Classes, in order: {', '.join(metadata['classes'])}.\n"
