"""The scalar that is explained and scored: known answers for classifiers and segmenters."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmenters import segmenter, volumes

from xai.scores import LOGIT, OUTPUT_SUM, PROBABILITY

EVERY = (LOGIT, PROBABILITY, OUTPUT_SUM)
LINE = torch.tensor([[[1.0, 0.0, -2.0, 5.0], [3.0, -1.0, -1.0, 5.0]]])
"""Two classes on four points: class 1 has the first and the third; equals go to the first class."""


def test_the_lesion_sum_adds_the_targets_logits_where_the_network_gives_the_point_to_it() -> None:
    assert LOGIT(LINE, torch.tensor([1])).tolist() == [3.0 - 1.0]
    assert LOGIT(LINE, torch.tensor([0])).tolist() == [0.0 + 5.0]


def test_probability_is_the_mean_over_all_points() -> None:
    expected = sum(1 / (1 + torch.exp(LINE[0, 0] - LINE[0, 1]))) / 4
    torch.testing.assert_close(PROBABILITY(LINE, torch.tensor([1])), expected.view(1))


def test_the_papers_start_adds_up_every_output_whatever_the_target() -> None:
    assert [OUTPUT_SUM(LINE, torch.tensor([target])).item() for target in (0, 1)] == [10.0, 10.0]


def test_a_classifier_is_read_at_its_target() -> None:
    logits = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    targets = torch.tensor([1, 1])
    assert LOGIT(logits, targets).tolist() == [3.0, 0.0]
    torch.testing.assert_close(PROBABILITY(logits, targets), logits.softmax(1)[:, 1])


def test_without_a_lesion_the_score_is_nothing_and_so_is_its_gradient() -> None:
    logits = torch.stack([torch.ones(4), -torch.ones(4)])[None].requires_grad_()
    score = LOGIT(logits, torch.tensor([1]))
    assert score.item() == 0
    (gradient,) = torch.autograd.grad(score.sum(), logits)
    assert not gradient.any()


def test_the_gradient_of_the_lesion_sum_is_1_on_the_lesion_alone() -> None:
    logits = LINE.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(LOGIT(logits, torch.tensor([1])).sum(), logits)
    assert gradient.tolist() == [[[0, 0, 0, 0], [1, 0, 1, 0]]]


@given(
    grid=st.lists(st.integers(1, 4), min_size=0, max_size=3),
    classes=st.integers(2, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_scores_agree_with_a_loop_over_points_and_do_not_see_the_batch(grid, classes, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, classes, *grid, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, classes, (3,), generator=generator)
    for score in EVERY:
        found = score(logits, targets)
        expected = [_oracle(score.name, one, int(target)) for one, target in zip(logits, targets, strict=True)]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
        assert torch.equal(score(logits[1:2], targets[1:2])[0], found[1])
        for target in range(classes):
            torch.testing.assert_close(score.of_classes(logits)[:, target], score(logits, targets * 0 + target))
    assert bool(((PROBABILITY(logits, targets) >= 0) & (PROBABILITY(logits, targets) <= 1)).all())


def _oracle(name: str, logits: torch.Tensor, target: int) -> float:
    points = logits.reshape(len(logits), -1).T
    if name == "output_sum":
        return sum(float(point.sum()) for point in points)
    if name == "probability":
        return sum(float(point.softmax(0)[target]) for point in points) / len(points)
    is_classifier = logits.ndim == 1
    return sum(float(point[target]) for point in points if is_classifier or int(point.argmax()) == target)


@pytest.mark.parametrize("score", EVERY)
def test_a_segmenters_score_is_its_own_whatever_else_is_in_the_batch(score) -> None:
    model, inputs = segmenter(), volumes(3)
    targets = torch.ones(3, dtype=torch.long)
    with torch.no_grad():
        together = score(model(inputs), targets)
        alone = [score(model(inputs[k : k + 1]), targets[:1]) for k in range(3)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-12, atol=0)
    assert together.std() > 0
