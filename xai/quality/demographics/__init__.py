"""Does relevance depend on age, sex or a drug? Declared families, four models, and how often they are wrong."""

from __future__ import annotations

from .coefficients import MODELS, SCALES, coefficient_table
from .design import Design, Factor, Family, correct, misclassified
from .null import false_positive_rates

__all__ = [
    "MODELS",
    "SCALES",
    "Design",
    "Factor",
    "Family",
    "coefficient_table",
    "correct",
    "false_positive_rates",
    "misclassified",
]
