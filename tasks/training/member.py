"""Trains one fold member with Lightning: resumable after a kill, the same weights as undisturbed."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from models import build_network
from models.bundle import BundleConfig
from models.normalise import normalise

from ..digests import digest_of
from ..progress import track

WEIGHTS = "member.safetensors"
HISTORY = "history.json"
CHECKPOINT = "last.ckpt"
IDENTITY = "training.digest"

MEMORY_FOR_WINDOWS = 2**30
"""Bytes of normalised windows held in memory; more than this lie in a memory-mapped file."""

READ_AT_ONCE = 4096


class LabelledWindows(Protocol):
    """What training asks of a cohort."""

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample, indexed by sample; ``label`` is the class index."""
        ...

    def signals(self, index: np.ndarray) -> np.ndarray:
        """Windows ``(sample, channel, time)``, float32, physical units."""
        ...


class MemberSplit(Protocol):
    """Sample numbers of one member's parts, int64."""

    @property
    def train(self) -> np.ndarray: ...  # noqa: D102
    @property
    def validation(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam on the cross-entropy of the classes.

    ``decay``: the learning rate falls linearly to 0 over all epochs, or stays. ``clip`` bounds the global
    norm of the gradient. ``patience``: epochs without a lower validation loss after which training
    stops (None: never). ``per_class``: so many samples of each class are drawn afresh every epoch, rare
    classes repeatedly; validation then uses at most so many of each class, drawn once (None: all).
    """

    learning_rate: float
    decay: Literal["linear", "none"]
    batch_size: int
    clip: float
    epochs: int
    patience: int | None
    per_class: int | None
    dropout: float = 0.2


def fit_member(
    cohort: LabelledWindows,
    split: MemberSplit,
    config: BundleConfig,
    recipe: Recipe,
    workdir: Path,
    seed: int,
) -> Path:
    """Trains one member in ``workdir`` and returns its weight file; done work is found, begun work resumed.

    The weights are those of the epoch with the lowest validation loss; `history` tells the epochs.
    Members must not be trained in two threads of one process: they would share PyTorch's generator.
    ValueError: an empty part, windows of another shape than ``config`` says, or a ``workdir`` that holds
    another training. RuntimeError: the validation loss was never finite.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    _claim(workdir, _identity(split, config, recipe, seed))
    weights = workdir / WEIGHTS
    if weights.exists():
        return weights
    training = _Windows.read(cohort, _samples(split, "train"), config, workdir)
    validation = _Windows.read(cohort, _validation_samples(cohort, split, recipe, seed), config, workdir)
    with _quiet(), torch.random.fork_rng():
        progress = _fit(training, validation, config, recipe, workdir, seed)
    if progress.best is None:
        raise RuntimeError(
            f"the validation loss was not finite in any of {len(progress.history)} epochs; "
            f"expected a learning rate below {recipe.learning_rate} or cleaner signals."
        )
    _write_whole(workdir / HISTORY, json.dumps(progress.history, indent=2).encode())
    _write_whole(weights, save(progress.best))
    (workdir / CHECKPOINT).unlink(missing_ok=True)
    return weights


def trained_network(workdir: Path, config: BundleConfig) -> nn.Module:
    """The network of a finished member, in evaluation mode."""
    network = build_network(config.network, **config.arguments)
    network.load_state_dict(load_file(workdir / WEIGHTS))
    return network.eval()


def history(workdir: Path) -> pd.DataFrame:
    """The epochs of a finished member: epoch, training_loss, validation_loss, seconds since the start."""
    return pd.DataFrame(json.loads((workdir / HISTORY).read_text()))


def _identity(split: MemberSplit, config: BundleConfig, recipe: Recipe, seed: int) -> str:
    parts = [np.sort(np.asarray(samples, np.int64)) for samples in (split.train, split.validation)]
    return digest_of(
        {
            "config": dataclasses.asdict(config),
            "recipe": dataclasses.asdict(recipe),
            "split": [hashlib.sha256(part.tobytes()).hexdigest() for part in parts],
            "seed": seed,
        }
    )


def _claim(workdir: Path, identity: str) -> None:
    """A checkpoint of another training must be neither resumed nor taken for this one's result."""
    path = workdir / IDENTITY
    if not path.exists():
        _write_whole(path, identity.encode())
    elif path.read_text() != identity:
        raise ValueError(f"workdir {workdir} holds the training of another recipe, split or seed.")


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _samples(split: MemberSplit, part: Literal["train", "validation"]) -> np.ndarray:
    samples = np.sort(np.asarray(getattr(split, part), np.int64))
    if not len(samples):
        raise ValueError(f"split has no samples in its part {part!r}; expected at least one.")
    return samples


def _validation_samples(cohort: LabelledWindows, split: MemberSplit, recipe: Recipe, seed: int) -> np.ndarray:
    samples = _samples(split, "validation")
    if recipe.per_class is None:
        return samples
    labels = cohort.samples.loc[samples, "label"].to_numpy()
    shuffled = np.random.default_rng([seed, 1]).permutation(len(samples))
    rank = pd.Series(labels[shuffled]).groupby(labels[shuffled]).cumcount().to_numpy()
    return np.sort(samples[shuffled[rank < recipe.per_class]])


@dataclass(frozen=True)
class _Windows:
    """Normalised windows ``(sample, channel, time)`` and their classes ``(sample,)``, read once."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def read(cls, cohort: LabelledWindows, samples: np.ndarray, config: BundleConfig, scratch: Path) -> _Windows:
        inputs = _allocate((len(samples), len(config.channels), config.window), scratch)
        for start in range(0, len(samples), READ_AT_ONCE):
            signals = torch.from_numpy(cohort.signals(samples[start : start + READ_AT_ONCE]))
            if signals.shape[1:] != inputs.shape[1:]:
                raise ValueError(
                    f"cohort has windows of shape {tuple(signals.shape[1:])}; "
                    f"expected (channel, time) = {tuple(inputs.shape[1:])}."
                )
            inputs[start : start + len(signals)] = normalise(signals, config.normalisation)
        labels = cohort.samples.loc[samples, "label"].to_numpy(dtype=np.int64)
        return cls(inputs, torch.from_numpy(labels))


def _allocate(shape: tuple[int, int, int], scratch: Path) -> Tensor:
    if 4 * math.prod(shape) <= MEMORY_FOR_WINDOWS:
        return torch.empty(shape)
    path = scratch / "windows.partial"
    array = np.memmap(path, np.float32, "w+", shape=shape)
    path.unlink()  # the mapping lives on without a name, so that a kill leaves nothing behind
    return torch.from_numpy(array)


class _Batches:
    """Whole batches of one epoch; which ones depends on the seed and the epoch's number only."""

    def __init__(self, windows: _Windows, recipe: Recipe, seed: int) -> None:
        self.epoch = 0
        self._windows = windows
        self._batch_size = recipe.batch_size
        self._per_class = recipe.per_class
        self._seed = seed
        labels = windows.labels.numpy()
        self._classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def __len__(self) -> int:
        whole = len(self._windows.labels)
        count = whole if self._per_class is None else self._per_class * len(self._classes)
        return math.ceil(count / self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.from_numpy(self._order()).split(self._batch_size):
            yield self._windows.inputs[rows], self._windows.labels[rows]

    def _order(self) -> np.ndarray:
        random = np.random.default_rng([self._seed, 2, self.epoch])
        if self._per_class is None:
            return random.permutation(len(self._windows.labels))
        drawn = [_draw(members, self._per_class, random) for members in self._classes]
        return random.permutation(np.concatenate(drawn))


def _draw(members: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """``count`` of ``members``, each as often as any other give or take one."""
    rounds = math.ceil(count / len(members))
    return np.concatenate([random.permutation(members) for _ in range(rounds)])[:count]


class _Learner(LightningModule):
    """A network under its recipe. Losses are summed on the device and read once per epoch."""

    def __init__(self, network: nn.Module, recipe: Recipe, seed: int, batches: _Batches) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe
        self._seed = seed
        self._batches = batches
        self.losses: dict[str, list[Tensor]] = {"training": [], "validation": []}
        self.counts = {"training": 0, "validation": 0}

    def on_train_epoch_start(self) -> None:
        """Everything random is set by (seed, epoch), which makes a resumed training exact."""
        self._batches.epoch = self.current_epoch
        torch.manual_seed(int(np.random.default_rng([self._seed, 3, self.current_epoch]).integers(2**62)))
        for name in self.losses:
            self.losses[name], self.counts[name] = [], 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        return self._loss(batch, "training")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Adds a batch to the validation loss."""
        self._loss(batch, "validation")

    def _loss(self, batch: tuple[Tensor, Tensor], part: str) -> Tensor:
        inputs, labels = batch
        loss = cross_entropy(self.network(inputs), labels)
        self.losses[part].append(loss.detach() * len(labels))
        self.counts[part] += len(labels)
        return loss

    def mean_loss(self, part: str) -> float:
        """Mean loss per sample of this epoch's ``training`` or ``validation``."""
        return float(torch.stack(self.losses[part]).double().sum()) / self.counts[part]

    def configure_optimizers(self) -> Any:
        """Adam, with the learning rate falling linearly step by step if the recipe says so."""
        adam = torch.optim.Adam(self.network.parameters(), lr=self._recipe.learning_rate)
        if self._recipe.decay == "none":
            return adam
        steps = self._recipe.epochs * len(self._batches)
        falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1.0 - min(step, steps) / steps)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": falling, "interval": "step"}}


class _Progress(Callback):
    """Keeps the best weights and the history, tells how far it is, and stops when patience is over.

    Its state travels in the checkpoint, so that one file, replaced as a whole, holds all that is known.
    """

    def __init__(self, patience: int | None) -> None:
        self.best: dict[str, Tensor] | None = None
        self.history: list[dict[str, float]] = []
        self._patience = patience
        self._ticks: Iterator[int] = iter(())
        self._earlier_seconds = 0.0
        self._start = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: _Learner) -> None:  # type: ignore[override]
        """A run that was killed between its last epoch and its end must not train on."""
        self._stop_in_time(trainer)
        left = (trainer.max_epochs or 0) - len(self.history)
        self._ticks = track(range(left), "training, epochs")
        self._earlier_seconds = self.history[-1]["seconds"] if self.history else 0.0
        self._start = time.monotonic()
        next(self._ticks, None)

    def on_validation_end(self, trainer: Trainer, pl_module: _Learner) -> None:  # type: ignore[override]
        """Judges the epoch."""
        loss = pl_module.mean_loss("validation")
        if math.isfinite(loss) and loss < self._lowest():
            self.best = copy.deepcopy({k: v.cpu() for k, v in pl_module.network.state_dict().items()})
        self.history.append(
            {
                "epoch": trainer.current_epoch,
                "training_loss": pl_module.mean_loss("training"),
                "validation_loss": loss,
                "seconds": self._earlier_seconds + time.monotonic() - self._start,
            }
        )
        self._stop_in_time(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: _Learner) -> None:  # type: ignore[override]
        """Tells the time left."""
        next(self._ticks, None)

    def on_train_end(self, trainer: Trainer, pl_module: _Learner) -> None:  # type: ignore[override]
        """Takes the bar away, also when patience ended the training before its last epoch."""
        self._ticks = iter(())

    def _lowest(self) -> float:
        finite = [row["validation_loss"] for row in self.history if math.isfinite(row["validation_loss"])]
        return min(finite, default=math.inf)

    def _stop_in_time(self, trainer: Trainer) -> None:
        losses = [row["validation_loss"] for row in self.history]
        if self._patience is None or not losses:
            return
        best = int(np.argmin(np.nan_to_num(losses, nan=np.inf, posinf=np.inf)))
        trainer.should_stop = len(losses) - 1 - best >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers only: the checkpoint is read with ``weights_only=True``."""
        return {"best": self.best, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what the killed run knew."""
        self.best, self.history = state_dict["best"], state_dict["history"]


def _fit(
    training: _Windows, validation: _Windows, config: BundleConfig, recipe: Recipe, folder: Path, seed: int
) -> _Progress:
    torch.manual_seed(int(np.random.default_rng([seed, 0]).integers(2**62)))
    network = build_network(config.network, **{**config.arguments, "dropout": recipe.dropout})
    batches = _Batches(training, recipe, seed)
    progress = _Progress(recipe.patience)
    trainer = Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=recipe.epochs,
        gradient_clip_val=recipe.clip,
        callbacks=[progress, _checkpoint_every_epoch(folder)],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    checkpoint = folder / CHECKPOINT
    trainer.fit(
        _Learner(network, recipe, seed, batches),
        train_dataloaders=batches,
        val_dataloaders=_in_order(validation),
        ckpt_path=checkpoint if checkpoint.exists() else None,
        weights_only=True,
    )
    return progress


def _checkpoint_every_epoch(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder, filename=Path(CHECKPOINT).stem, enable_version_counter=False, save_on_train_epoch_end=True
    )


def _in_order(windows: _Windows, size: int = 512) -> DataLoader:
    batches = list(zip(windows.inputs.split(size), windows.labels.split(size), strict=True))
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # each item is a whole batch


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's notes on devices and its advertisements stay out of a job's log; errors do not."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        logger.setLevel(level)
