"""How a network is trained: the numbers of a recipe, told apart from the network that it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .objectives import Loss


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: on the cross-entropy of the classes, by Adam with ``betas`` or SGD with ``momentum``.

    Of a segmentation the voxels are classified, and ``loss`` may add the soft Dice of the lesion.
    ``monitor`` judges the epochs: the lowest validation loss is best, or the highest validation accuracy, of a
    segmentation the highest validation Dice.
    ``decay``: the learning rate falls linearly to 0 over all epochs, or to a tenth after every 5 epochs in a row
    that do not better the monitor (``plateau``), or stays. ``clip`` bounds the global norm of the gradient, 0: not
    at all. ``patience``: epochs without a better monitor after which training stops (None: never). ``per_class``:
    so many samples of each class are drawn afresh every epoch, rare classes repeatedly; validation then uses at
    most so many of each class, drawn once (None: all). ``class_weights``: a sample counts the more in the training
    loss the rarer its class, samples / (classes * samples of its class); validation counts all alike.

    ValueError: ``class_weights`` and ``per_class`` both even the classes out; expected one of them at most. Adam has
    no ``momentum``.
    """

    learning_rate: float
    decay: Literal["linear", "plateau", "none"]
    batch_size: int
    clip: float
    epochs: int
    patience: int | None
    per_class: int | None
    dropout: float = 0.2
    class_weights: Literal["none", "balanced"] = "none"
    monitor: Literal["validation_loss", "validation_accuracy", "validation_dice"] = "validation_loss"
    loss: Loss = "cross_entropy"
    betas: tuple[float, float] = (0.9, 0.999)
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if self.class_weights == "balanced" and self.per_class is not None:
            raise ValueError(
                f"class_weights is 'balanced' and per_class {self.per_class}; expected one of them at most."
            )
        if self.optimiser == "adam" and self.momentum:
            raise ValueError(f"momentum is {self.momentum} for optimiser 'adam'; expected 0, or optimiser 'sgd'.")
