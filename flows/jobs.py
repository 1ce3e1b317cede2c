"""The jobs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tasks.evaluating.evaluation import Job

from .demographics import demographics
from .faithfulness import faithfulness
from .inclusivity import inclusivity
from .lrp_rules import lrp_rules

JOBS: Mapping[Job, Callable[..., Any]] = {
    "faithfulness": faithfulness,
    "lrp-rules": lrp_rules,
    "demographics": demographics,
    "inclusivity": inclusivity,
}
