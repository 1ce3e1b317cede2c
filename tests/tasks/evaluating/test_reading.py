"""What counts as read rightly: the class of the sample, or where every voxel has one, that of any of them."""

from __future__ import annotations

import torch

from tasks.evaluating.reading import reads_rightly


def volumes(*lesion_logits: list[float]) -> torch.Tensor:
    """Logits (sample, 2, 1, 1, voxel) whose background is 0."""
    lesion = torch.tensor(lesion_logits)[:, None, None, None]
    return torch.cat([torch.zeros_like(lesion), lesion], dim=1)


def test_a_classifier_reads_rightly_where_its_highest_logit_is_the_targets():
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 1.0, 3.0]])
    assert reads_rightly(logits, torch.tensor([1, 0])).tolist() == [True, False]


def test_a_segmentation_reads_rightly_when_any_voxel_has_the_target():
    logits = volumes([-1.0, -2.0], [1.0, -1.0])
    assert reads_rightly(logits, torch.tensor([1, 1])).tolist() == [False, True]
    assert reads_rightly(logits, torch.tensor([0, 0])).tolist() == [True, True]
