"""A network under its recipe: what an epoch does, and what is remembered of the epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..progress import track
from .objectives import Objective
from .recipe import Recipe
from .windows import Batches

PLATEAU = 5
"""Epochs without a better monitor after which the learning rate falls."""
FALL = 0.1
"""What is left of the learning rate each time."""


class Learner(LightningModule):
    """A network under its recipe. Losses are summed on the device and read once per epoch.

    ``class_weights (class,)`` multiply the training losses of each class; None: all count alike.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        aim: Objective,
        seed: int,
        batches: Batches,
        class_weights: Tensor | None,
    ) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe
        self.aim = aim
        self._seed = seed
        self._batches = batches
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.scores: list[Tensor] = []
        self.losses: dict[str, list[Tensor]] = {"training": [], "validation": []}
        self.counts = {"training": 0, "validation": 0}

    def on_train_epoch_start(self) -> None:
        """Everything random is set by (seed, epoch), which makes a resumed training exact."""
        self._batches.epoch = self.current_epoch
        torch.manual_seed(int(np.random.default_rng([self._seed, 3, self.current_epoch]).integers(2**62)))
        for name in self.losses:
            self.losses[name], self.counts[name] = [], 0
        self.scores = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean loss of a batch, weighted by class if the recipe says so."""
        inputs, labels = batch
        logits = self.network(inputs)
        if self.class_weights is None:
            loss = self.aim.loss(logits, labels)
        else:
            # divided by the samples, not by their weights: what a sample counts does not depend on its batch
            loss = cross_entropy(logits, labels, self.class_weights, reduction="sum") / len(labels)
        self._add(loss, labels, "training")
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Adds a batch to the validation loss and to the samples' scores."""
        inputs, labels = batch
        logits = self.network(inputs)
        self._add(self.aim.loss(logits, labels), labels, "validation")
        self.scores.append(self.aim.score(logits, labels))

    def _add(self, loss: Tensor, labels: Tensor, part: str) -> None:
        self.losses[part].append(loss.detach() * len(labels))
        self.counts[part] += len(labels)

    def mean_loss(self, part: str) -> float:
        """Mean loss per sample of this epoch's ``training`` or ``validation``."""
        return float(torch.stack(self.losses[part]).double().sum()) / self.counts[part]

    def validation_score(self) -> float:
        """Mean score of this epoch's validation samples that have one: their accuracy, or of a segmentation the Dice.

        NaN where none has.
        """
        return float(torch.cat(self.scores).cpu().double().nanmean())

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser, with the learning rate falling linearly step by step if the recipe says so.

        After a plateau `Progress` lowers it: Lightning steps such schedulers after the checkpoint is written, and
        a resumed training would miss one.
        """
        optimiser = self._optimiser()
        if self._recipe.decay != "linear":
            return optimiser
        steps = self._recipe.epochs * len(self._batches)
        falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1.0 - min(step, steps) / steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": falling, "interval": "step"}}

    def _optimiser(self) -> torch.optim.Optimizer:
        recipe, parameters = self._recipe, self.network.parameters()
        if recipe.optimiser == "sgd":
            return torch.optim.SGD(parameters, lr=recipe.learning_rate, momentum=recipe.momentum)
        return torch.optim.Adam(parameters, lr=recipe.learning_rate, betas=recipe.betas)


def reductions(merits: Sequence[float]) -> int:
    """How often a learning rate has fallen: after every `PLATEAU` epochs in a row without a new highest merit."""
    best, waited, count = -math.inf, 0, 0
    for merit in merits:
        waited = 0 if merit > best else waited + 1
        best = max(best, merit)
        if waited == PLATEAU:
            waited, count = 0, count + 1
    return count


class Progress(Callback):
    """Keeps the best weights and the history, tells how far it is, and stops when patience is over.

    Its state travels in the checkpoint, so that one file, replaced as a whole, holds all that is known.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.best: dict[str, Tensor] | None = None
        self.history: list[dict[str, float]] = []
        self._recipe = recipe
        self._ticks: Iterator[int] = iter(())
        self._earlier_seconds = 0.0
        self._start = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """A run that was killed between its last epoch and its end must not train on."""
        self._stop_in_time(trainer)
        left = (trainer.max_epochs or 0) - len(self.history)
        self._ticks = track(range(left), "training, epochs")
        self._earlier_seconds = self.history[-1]["seconds"] if self.history else 0.0
        self._start = time.monotonic()
        next(self._ticks, None)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """The rate follows from the history alone, so that a resumed training has the same."""
        if self._recipe.decay == "plateau":
            for group in trainer.optimizers[0].param_groups:
                group["lr"] = self._recipe.learning_rate * FALL ** reductions(self._merits())

    def on_validation_end(self, trainer: Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Judges the epoch."""
        before = self._merits()
        self.history.append(
            {
                "epoch": trainer.current_epoch,
                "training_loss": pl_module.mean_loss("training"),
                "validation_loss": pl_module.mean_loss("validation"),
                pl_module.aim.score_name: pl_module.validation_score(),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": self._earlier_seconds + time.monotonic() - self._start,
            }
        )
        if self._merits()[-1] > max(before, default=-math.inf):
            weights = pl_module.network.state_dict()
            self.best = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in weights.items()}
        self._stop_in_time(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Tells the time left."""
        next(self._ticks, None)

    def on_train_end(self, trainer: Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Takes the bar away, also when patience ended the training before its last epoch."""
        self._ticks = iter(())

    def _merits(self) -> list[float]:
        """How good each epoch was by the monitor, higher is better; -inf where it or the loss is not finite."""
        sign = -1.0 if self._recipe.monitor == "validation_loss" else 1.0
        judged = [(sign * row[self._recipe.monitor], row["validation_loss"]) for row in self.history]
        return [merit if math.isfinite(merit) and math.isfinite(loss) else -math.inf for merit, loss in judged]

    def _stop_in_time(self, trainer: Trainer) -> None:
        merits = self._merits()
        if self._recipe.patience is not None and merits:
            trainer.should_stop = len(merits) - 1 - int(np.argmax(merits)) >= self._recipe.patience

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers only: the checkpoint is read with ``weights_only=True``."""
        return {"best": self.best, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what the killed run knew."""
        self.best, self.history = state_dict["best"], state_dict["history"]
