"""How a network reads a sample: classes by sample, and what counts as read rightly where every voxel has its own."""

from __future__ import annotations

import torch

from tasks.evaluating.reading import LESION, classes_given, reads_rightly


def volumes(*lesion_logits: list[float]) -> torch.Tensor:
    """Logits (sample, 2, 1, 1, voxel) whose background is 0."""
    lesion = torch.tensor(lesion_logits)[:, None, None, None]
    return torch.cat([torch.zeros_like(lesion), lesion], dim=1)


def test_a_classifier_gives_the_class_of_the_highest_logit():
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 1.0, 3.0]])
    assert classes_given(logits).tolist() == [1, 2]
    assert reads_rightly(logits, torch.tensor([1, 0])).tolist() == [True, False]


def test_a_segmentation_is_always_asked_for_the_lesion():
    assert classes_given(volumes([-1.0, -2.0], [1.0, -1.0])).tolist() == [LESION, LESION]


def test_a_segmentation_reads_rightly_when_any_voxel_has_the_target():
    logits = volumes([-1.0, -2.0], [1.0, -1.0])
    assert reads_rightly(logits, torch.tensor([LESION, LESION])).tolist() == [False, True]
    assert reads_rightly(logits, torch.tensor([0, 0])).tolist() == [True, True]
