"""Figures of an evaluation: what people look at in MLflow and in the report.

Every function returns a Matplotlib ``Figure`` and leaves Matplotlib's global state alone, so that
figures can be drawn in any thread; :func:`png_bytes` turns one into a small PNG. Those whose name starts
with ``interactive`` return a Plotly ``Figure``, the twin of a still one.
"""

from .by_group import subgroups
from .curves import perturbation_curves
from .dice import dice_by_case
from .geometry import Geometry
from .heatmaps import all_explainers, class_by_explainer, class_mean_heatmaps, sample_heatmap
from .interactive_heatmaps import interactive_heatmaps
from .intervals import forest, metric_overview
from .performance import confusion
from .style import png_bytes

__all__ = [
    "Geometry",
    "all_explainers",
    "class_by_explainer",
    "class_mean_heatmaps",
    "confusion",
    "dice_by_case",
    "forest",
    "interactive_heatmaps",
    "metric_overview",
    "perturbation_curves",
    "png_bytes",
    "sample_heatmap",
    "subgroups",
]
