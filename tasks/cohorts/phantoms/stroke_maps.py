"""The six maps of a stroke's head: values of each tissue, of core and penumbra, and what is loud but no lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .brain import AIR, CSF, LARGE_ARTERIES, SINUS, Head, near, radius
from .lesion_shapes import Stroke
from .volume_grids import Mask, Volume

ADC, MTT, CBF, CBV, TMAX, TTP = MAPS = ("ADC", "MTT", "rCBF", "rCBV", "Tmax", "TTP")
_DELAYS = (MTT, TMAX, TTP)


@dataclass(frozen=True)
class _Contrast:
    """What one map shows. ADC in 1e-6 mm2/s, rCBF in ml/100 g/min, rCBV in ml/100 g, the others in seconds.

    ``tissue``: by tissue, AIR to WHITE. ``core`` and ``penumbra``: what is added at full contrast, in seconds for
    the delays, relative to the tissue's value for the others. ``noise``: SD at noise 1. ``sharpness``: SD of the
    blur in millimetres.
    """

    tissue: tuple[float, float, float, float, float, float]
    core: float
    penumbra: float
    noise: float
    sharpness: float


_CONTRASTS = {
    ADC: _Contrast((0, 700, 40, 2900, 860, 760), -0.48, -0.03, 40.0, 1.0),
    MTT: _Contrast((0, 0, 0, 4.0, 4.6, 5.5), 5.5, 5.0, 0.6, 2.0),
    CBF: _Contrast((0, 2, 0, 6, 55, 24), -0.80, -0.40, 4.0, 2.0),
    CBV: _Contrast((0, 0.2, 0, 0.6, 4.2, 2.2), -0.65, 0.10, 0.4, 2.0),
    TMAX: _Contrast((0, 0, 0, 2.0, 1.2, 1.9), 8.0, 6.5, 0.8, 2.0),
    TTP: _Contrast((0, 0, 0, 22.0, 21.0, 22.5), 9.0, 7.5, 0.9, 2.0),
}


def draw_maps(
    rng: np.random.Generator,
    head: Head,
    stroke: Stroke,
    *,
    contrast: float,
    noise: float,
    shift: float,
    distractors: float,
) -> dict[str, NDArray[np.float32]]:
    """Every map ``(x, y, z)`` by its name in ISLES; see StrokeSettings for the four numbers. Air is 0."""
    texture = 1 + 0.15 * head.grid.field(rng, 6.0)
    found = {name: _with_stroke(name, head, stroke, contrast, texture) for name in MAPS}
    if distractors:
        _add_old_infarct(rng, head, stroke, found)
        _add_benign_delay(rng, head, stroke, found, distractors)
        _add_vessels(rng, head, stroke, found, distractors)
        _add_artefact_rim(rng, head, found, distractors)
    return {name: _recorded(rng, name, head, found[name], noise, shift) for name in MAPS}


def _with_stroke(name: str, head: Head, stroke: Stroke, contrast: float, texture: Volume) -> Volume:
    shown = _CONTRASTS[name]
    values = np.array(shown.tissue)[head.tissue]
    strength = contrast * np.clip(texture, 0.6, 1.4)
    for mask, change in ((stroke.core, shown.core), (stroke.penumbra, shown.penumbra)):
        added = change * strength if name in _DELAYS else change * np.minimum(strength, 1) * values
        values = values + np.where(mask, added, 0)
    return values


def _add_old_infarct(rng: np.random.Generator, head: Head, stroke: Stroke, maps: dict[str, Volume]) -> None:
    """A scar: hardly perfused as a core is, but with the free water of CSF."""
    scar = _blob(rng, head, stroke, axes=(6.0, 14.0)) & (rng.random() < 0.6)
    maps[ADC][scar] = 2300
    maps[CBF][scar] *= 0.25
    maps[CBV][scar] *= 0.30


def _add_benign_delay(
    rng: np.random.Generator, head: Head, stroke: Stroke, maps: dict[str, Volume], strength: float
) -> None:
    """Tissue behind a narrowed artery: blood comes late, as late as in a core, but enough of it."""
    late = _blob(rng, head, stroke, axes=(20.0, 38.0)) & (rng.random() < 0.7)
    for name, seconds in ((MTT, 3.0), (TMAX, 8.0), (TTP, 9.0)):
        maps[name][late] += seconds * min(strength, 1.5)


def _blob(rng: np.random.Generator, head: Head, stroke: Stroke, axes: tuple[float, float]) -> Mask:
    """Parenchyma of one hemisphere around a drawn place, away from core and penumbra."""
    free = head.parenchyma & ~stroke.core & ~stroke.penumbra & (head.depth > 6)
    if not free.any():
        return free
    centre = head.points[:, free][:, rng.integers(free.sum())]
    level = radius((centre, rng.uniform(*axes, 3)), head.points) + 0.15 * head.grid.field(rng, 5.0)
    same_half = head.right if centre[0] > 0 else ~head.right
    return (level < 1) & same_half & head.parenchyma & ~stroke.core & ~stroke.penumbra


def _add_vessels(
    rng: np.random.Generator, head: Head, stroke: Stroke, maps: dict[str, Volume], strength: float
) -> None:
    """Arteries, cortical vessels in the sulci and the sagittal sinus: the brightest of rCBF and rCBV, late in TTP."""
    arteries = _tubes(head, LARGE_ARTERIES, 2.4)
    surface = (head.tissue == CSF) & (head.depth > -8) & (head.depth < 14) & ~head.ventricles
    cortical = surface * np.clip(head.grid.field(rng, 4.0) - 0.6, 0, 1)
    sinus = _tubes(head, [SINUS], 4.0)
    flowing = 1 - 0.9 * head.grid.blurred(stroke.core, 3.0) - 0.4 * stroke.penumbra  # beyond a clot little flows
    blood = (arteries + 0.8 * cortical) * (head.depth > -8) * np.clip(flowing, 0, 1)
    maps[CBF] += strength * (190 * blood + 60 * sinus)
    maps[CBV] += strength * (16 * blood + 22 * sinus)
    maps[TTP] += sinus * 6
    maps[TMAX] += sinus * 4


def _tubes(head: Head, paths: Sequence[ArrayLike], thickness: float) -> Volume:
    """1 on the lines, falling as a Gaussian; never thinner than the grid can show."""
    width = max(thickness, 0.6 * float(head.grid.spacing[:2].max()))
    return np.exp(-0.5 * (near(head.grid, paths) / width) ** 2)


def _add_artefact_rim(rng: np.random.Generator, head: Head, maps: dict[str, Volume], strength: float) -> None:
    """Speckles around the brain where no curve of contrast could be fitted: long delays out of nothing."""
    rim = (head.depth > -9) & (head.depth < 2.5) & (head.tissue != AIR)
    speckled = rim & (head.grid.field(rng, 2.5) > 0.5)
    for name, seconds in ((MTT, 9.0), (TMAX, 14.0), (TTP, 16.0)):
        maps[name][speckled] += strength * seconds * rng.uniform(0.5, 1.2, int(speckled.sum()))


def _recorded(
    rng: np.random.Generator, name: str, head: Head, values: Volume, noise: float, shift: float
) -> NDArray[np.float32]:
    """The map as the scanner's software gives it: blurred, with noise, and on a scale of the case's own."""
    shown = _CONTRASTS[name]
    unsteady = np.where(head.tissue == CSF, 2.5, 1.0) if name in _DELAYS else 1 + values / max(values.max(), 1e-9)
    blurred = head.grid.blurred(values, shown.sharpness)
    grain = head.grid.field(rng, 0.5 * float(head.grid.spacing.min()))
    measured = blurred + noise * shown.noise * unsteady * grain
    scale = np.exp(shift * rng.standard_normal() * (0.3 if name == ADC else 1.0))
    lowest = -np.inf if name in (TMAX, TTP) else 0.0
    inside = head.tissue != AIR if name == ADC else head.depth > -9
    return np.where(inside, np.clip(scale * measured, lowest, None), 0).astype(np.float32)
