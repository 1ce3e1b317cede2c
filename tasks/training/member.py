"""Trains one fold member with Lightning: resumable after a kill, the same weights as undisturbed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save
from torch import nn
from torch.nn.utils import convert_conv3d_weight_memory_format
from torch.utils.data import DataLoader

from models import build_network
from models.bundle import BundleConfig

from ..digests import digest_of
from .objectives import Objective, objective
from .recipe import Recipe
from .windows import Batches, LabelledWindows, Windows, balanced_weights

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import ModelCheckpoint

    from .learning import Progress

WEIGHTS = "member.safetensors"
HISTORY = "history.json"
CHECKPOINT = "last.ckpt"
IDENTITY = "training.digest"
VALIDATED_AT_ONCE = 512
"""Windows; of volumes as many as a batch of the training holds."""


class MemberSplit(Protocol):
    """Sample numbers of one member's parts, int64."""

    @property
    def train(self) -> np.ndarray: ...  # noqa: D102
    @property
    def validation(self) -> np.ndarray: ...  # noqa: D102


def fit_member(
    cohort: LabelledWindows,
    split: MemberSplit,
    config: BundleConfig,
    recipe: Recipe,
    workdir: Path,
    seed: int,
) -> Path:
    """Trains one member in ``workdir`` and returns its weight file; done work is found, begun work resumed.

    The weights are those of the epoch that the recipe's monitor finds best; `history` tells the epochs.
    Members must not be trained in two threads of one process: they would share PyTorch's generator.
    ValueError: an empty part, samples of another shape than ``config`` says, a recipe for another task, or a
    ``workdir`` that holds another training. RuntimeError: the validation loss or the monitor was never finite.
    """
    aim = _aim(config, recipe)
    workdir.mkdir(parents=True, exist_ok=True)
    _claim(workdir, _identity(split, config, recipe, seed))
    weights = workdir / WEIGHTS
    if weights.exists():
        return weights
    training = Windows.read(cohort, _samples(split, "train"), config, workdir)
    validation = Windows.read(cohort, _validation_samples(cohort, split, recipe, seed), config, workdir)
    with _quiet(), torch.random.fork_rng():
        progress = _fit(training, validation, config, recipe, aim, workdir, seed)
    if progress.best is None:
        raise RuntimeError(
            f"the validation loss or {recipe.monitor} was not finite in any of {len(progress.history)} epochs; "
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
    """The epochs of a finished member, one row each.

    Columns: epoch, training_loss, validation_loss, validation_accuracy (validation_dice of a segmentation),
    learning_rate at the epoch's end, and seconds since the start.
    """
    return pd.DataFrame(json.loads((workdir / HISTORY).read_text()))


def _aim(config: BundleConfig, recipe: Recipe) -> Objective:
    """The objective of the version's task; ValueError where the recipe is for another one."""
    aim = objective(config.task, recipe.loss)
    if recipe.monitor not in ("validation_loss", aim.score_name):
        raise ValueError(f"monitor is {recipe.monitor!r}; expected 'validation_loss' or {aim.score_name!r}.")
    if config.task == "segmentation" and recipe.class_weights != "none":
        raise ValueError(
            f"class_weights is {recipe.class_weights!r}; expected 'none' for a segmentation; its loss may add the Dice."
        )
    return aim


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


def _fit(
    training: Windows,
    validation: Windows,
    config: BundleConfig,
    recipe: Recipe,
    aim: Objective,
    folder: Path,
    seed: int,
) -> Progress:
    from lightning.pytorch import Trainer  # it takes seconds to import, and of all jobs only this one needs it

    from .learning import Learner, Progress

    torch.manual_seed(int(np.random.default_rng([seed, 0]).integers(2**62)))
    network = build_network(config.network, **{**config.arguments, "dropout": recipe.dropout})
    if config.volume and not torch.cuda.is_available():
        convert_conv3d_weight_memory_format(network, torch.channels_last_3d)  # 1.3 to 1.8 times as fast
    batches = Batches(training, recipe, seed)
    progress = Progress(recipe)
    weights = None
    if recipe.class_weights == "balanced":
        weights = balanced_weights(training.labels, len(config.classes))
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
        Learner(network, recipe, aim, seed, batches, weights),
        train_dataloaders=batches,
        val_dataloaders=_in_order(validation, recipe.batch_size if config.volume else VALIDATED_AT_ONCE),
        ckpt_path=checkpoint if checkpoint.exists() else None,
        weights_only=True,
    )
    return progress


def _checkpoint_every_epoch(folder: Path) -> ModelCheckpoint:
    from lightning.pytorch.callbacks import ModelCheckpoint

    return ModelCheckpoint(
        folder, filename=Path(CHECKPOINT).stem, enable_version_counter=False, save_on_train_epoch_end=True
    )


def _in_order(windows: Windows, size: int) -> DataLoader:
    parts = torch.arange(len(windows.labels)).split(size)
    return DataLoader(parts, batch_size=None, collate_fn=windows.batch)  # type: ignore[arg-type]  # items are batches


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
