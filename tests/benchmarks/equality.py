"""Whether two contenders found the same."""

from __future__ import annotations

from torch import Tensor

from .row import Results


def largest_difference(ours: Results, theirs: Results) -> float | None:
    """Over all results that both have, each in units of its largest value; None where there is nothing to compare.

    Infinite where one is NaN and the other not. Raises ValueError where they are not equally many, or of other shapes.
    """
    pairs = [
        (one.double().cpu(), other.double().cpu())
        for one, other in zip(ours, theirs, strict=True)
        if one is not None and other is not None
    ]
    return max((_difference(one, other) for one, other in pairs), default=None)


def _difference(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape:
        raise ValueError(f"results have the shapes {tuple(one.shape)} and {tuple(other.shape)}; expected equal ones.")
    if not (one.isnan() == other.isnan()).all():
        return float("inf")
    largest = float(one.nan_to_num().abs().max())
    apart = float((one - other).nan_to_num().abs().max())
    return apart / largest if largest else apart
