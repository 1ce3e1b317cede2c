"""The scores of all prefixes from one pass, against a run for every prefix."""

from __future__ import annotations

import torch

from xai.methods.temporal_scores import prefix_scores

from ..networks import STEPS, network, random_inputs
from ..row import Case, Results, Row, Setting


def _build(setting: Setting) -> Case:
    model = network("L", setting)
    beats = random_inputs(setting, 2, 1, 30) if setting.small else random_inputs(setting, 8, 1, STEPS)

    def again() -> Results:
        with torch.inference_mode():
            return [torch.stack([model(beats[:, :, :stop]) for stop in range(1, beats.shape[2] + 1)], dim=1)]

    return Case(lambda: [prefix_scores(model, beats)], {"a run per prefix": {"": again}})


ROWS = (
    Row(
        "prefix-scores",
        "scores of all 216 prefixes of 8 beats",
        _build,
        goals={"a run per prefix": 95},
        saves={"a run per prefix": 0.07},
    ),
)
