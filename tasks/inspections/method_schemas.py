"""Figures 1 and 2: how CAM and the learned mask come about, drawn from the networks that they were taken of."""

from __future__ import annotations

import torch

from models.bundle import Bundle
from xai.methods import LearnedMask, explainer
from xai.methods.learned_mask import SMOOTHNESS, SPARSITY

from ..drawing.method_schemas import cam_schema, mask_schema
from ..drawing.network_layers import Layer, network_layers
from .companions import METHODS
from .finding import Drawn, Finding
from .inspected import Inspected

TEXT = """The paper explains each half of its network on a small network of its own kind: class activation maps, the
weighted sum of the last feature maps, on convolutions with a mean over time at their end; a mask, learned by gradient
descent until the class is lost, on an LSTM. Layers and sizes are those of the networks trained here."""


def inspect(looked: Inspected) -> Finding:
    """A schema for each companion that is there."""
    (cam, _), (lstm, mask) = METHODS.values()
    figures = {}
    if cam in looked.companions:
        title = "Class activation map of the CNN"
        figures["cam-schema"] = Drawn(f"{title}.", cam_schema(_layers(looked.companions[cam]), title=title))
    learned = explainer(mask)
    if lstm in looked.companions and isinstance(learned, LearnedMask):
        title = "Learned mask of the LSTM"
        still = mask_schema(
            _layers(looked.companions[lstm]),
            sparsity=SPARSITY,
            smoothness=SMOOTHNESS,
            steps=learned.steps,
            restarts=learned.restarts,
            title=title,
        )
        figures["mask-schema"] = Drawn(f"{title}.", still)
    return Finding(title="How the maps come about", text=TEXT, figures=figures)


def _layers(bundle: Bundle) -> tuple[Layer, ...]:
    config = bundle.config
    return network_layers(bundle.members[0], torch.zeros(1, len(config.channels), config.window))
