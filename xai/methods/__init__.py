"""Explanation methods: frozen dataclasses with a `name` and the one verb `attribute`.

>>> explainer("occlusion_w10").attribute(model, inputs, targets, seeds=seeds)

An attribution has the shape of the inputs. A name states the parameters that differ from the defaults:

- ``gradient``, ``gradient_abs``, ``gradient_x_input``
- ``integrated_gradients[_n<steps>]``, ``smoothgrad[_n<draws>][_s<noise>]``
- ``occlusion_w<width>[_s<stride>][_v<value>][_scan<columns>][_single][-paper]``: widths and strides per axis are
  joined by x (``occlusion_w5x5``), the value is a number, ``mean`` or ``mode``, and scan means that time is the
  scan line of an image of that many columns
- ``occlusion_supervoxels[_n<count>][_refine<levels>][_single]`` and, on a layer by its name,
  ``gradcam_<layer>[_signed]``; ``cam`` of networks that end in a mean and one linear layer
- ``learned_mask[_margin][_v<value>][_n<steps>][_r<restarts>][-paper]``: the value is a number, ``smooth`` or ``blur``
- ``lrp_epsilon[_e<epsilon>]``, ``lrp_zplus`` (alpha 1, beta 0), ``lrp_alpha<alpha>beta<beta>``,
  ``lrp_gamma_g<gamma>``, ``lrp_zbox_l<low>_h<high>``, ``lrp_wsquare``, ``lrp_flat``, and by position
  ``lrp_composite_epsilon_plus[_flat]``, ``lrp_composite_epsilon_alpha2beta1[_flat]``,
  ``lrp_composite_epsilon_gamma_box_l<low>_h<high>``, ``lrp_composite_zplus_box_l<low>_h<high>``, for networks that
  LRP can walk
- any of them with relevance filters: ``lrp_<rule>_pass<low>-<high>[_bychannel]``, ``lrp_<rule>_clamp<high>``; one
  filter for each of the network's filter points is joined by + (``lrp_zplus_clamp0.2+raw+pass0-0.1...``)
- ``lrp_tjoa-paper``, ``lrp_tjoa_clamp0.2-paper``: LRP as the code of Tjoa et al. does it; put right it is
  ``lrp_composite_zplus_box_l0_h1``, and single defects are ``lrp_tjoa_first-published``, ``_first-head``,
  ``_inputs-signed``, ``_inputs-positive``, ``_norms-identity``, ``_skip-legacy``, ``_start-both``
- the controls ``random`` and ``amplitude``, and for segmenters ``prediction`` and ``edges``
"""

from __future__ import annotations

from ..protocols import Explainer
from .cam import CAM
from .controls import Amplitude, Edges, Prediction, Random
from .gradcam import GradCAM
from .gradients import Gradient, GradientXInput, IntegratedGradients, SmoothGrad
from .learned_mask import LearnedMask
from .lrp import LRP
from .occlusion import Occlusion, minmax
from .supervoxel_occlusion import SupervoxelOcclusion
from .together import attribute_all

__all__ = [
    "CAM",
    "CONTROLS",
    "EXPLAINERS",
    "LRP",
    "LRP_EXPLAINERS",
    "VOLUME_CONTROLS",
    "Amplitude",
    "Edges",
    "Explainer",
    "GradCAM",
    "Gradient",
    "GradientXInput",
    "IntegratedGradients",
    "LearnedMask",
    "Occlusion",
    "Prediction",
    "Random",
    "SmoothGrad",
    "SupervoxelOcclusion",
    "attribute_all",
    "explainer",
    "minmax",
]

CONTROLS = ("random", "amplitude")
"""What every explainer must beat."""

VOLUME_CONTROLS = (*CONTROLS, "prediction", "edges")
"""What every explainer of a segmenter must beat: to mark what was predicted, or where tissues meet, is easy."""

EXPLAINERS = (
    "gradient",
    "gradient_abs",
    "gradient_x_input",
    "integrated_gradients",
    "smoothgrad",
    "occlusion_w1",
    "occlusion_w5",
    "occlusion_w10",
    "occlusion_w20",
    "occlusion_w40",
    "occlusion_w10_v0.5",
    "occlusion_w10_vmean",
    "occlusion_w10_vmode",
    *CONTROLS,
)
"""The explainers of a study that names none."""

LRP_EXPLAINERS = ("lrp_epsilon", "lrp_zplus", "lrp_alpha2beta1", "lrp_gamma_g0.25")
"""The rules compared where a network is one that LRP can walk."""

_FAMILIES = (
    Gradient,
    GradientXInput,
    IntegratedGradients,
    SmoothGrad,
    Occlusion,
    SupervoxelOcclusion,
    GradCAM,
    CAM,
    LearnedMask,
    LRP,
    Random,
    Amplitude,
    Prediction,
    Edges,
)


def explainer(name: str) -> Explainer:
    """The explainer of that name; ValueError listing the known ones where there is none."""
    for family in _FAMILIES:
        found = family.from_name(name)
        if found is not None and found.name == name:
            return found
    raise ValueError(
        f"Explainer {name!r} is unknown; expected one of {', '.join((*EXPLAINERS, *LRP_EXPLAINERS))}, or one of "
        "them with other parameters: integrated_gradients_n100, smoothgrad_n50_s0.1, "
        "occlusion_w24_s4_vmean_single-paper, lrp_epsilon_e0.1, learned_mask_n100; of convolutions also cam and "
        "gradcam_<layer>, of volumes occlusion_supervoxels_n64, prediction and edges."
    )
