"""Training: it learns, it resumes exactly, it keeps the best, it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from sklearn.utils.class_weight import compute_class_weight

from models.bundle import BundleConfig, load_bundle, save_bundle
from models.normalise import normalise
from tasks.training import member as training
from tasks.training import windows
from tasks.training.learning import Learner, Progress, reductions
from tasks.training.member import fit_member, history, trained_network
from tasks.training.objectives import objective
from tasks.training.recipe import Recipe

CHECKOUT = Path(__file__).resolve().parents[3]
WINDOW = 60


class Waves:
    """A cohort of noisy sines; the class is the frequency."""

    def __init__(self, count: int = 360, classes: int = 3, constant: float | None = None) -> None:
        random = np.random.default_rng(7)
        labels = random.permutation(np.arange(count) % classes)
        phase = random.uniform(0, 6, (count, 1))
        waves = np.sin(np.arange(WINDOW) * (0.15 + 0.2 * labels[:, None]) + phase)
        noisy = 900.0 + 0.5 * (waves + 0.3 * random.normal(size=waves.shape))
        self._signals = noisy[:, None].astype(np.float32)
        if constant is not None:
            self._signals[:] = constant
        self.samples = pd.DataFrame({"label": labels, "subject": [f"s{row % 12}" for row in range(count)]})
        self.largest_read = 0

    def signals(self, index: np.ndarray) -> np.ndarray:
        self.largest_read = max(self.largest_read, len(index))
        return self._signals[index]


CONFIG = BundleConfig(
    network="lstm",
    arguments={"channels": 1, "classes": 3, "hidden": [12]},
    normalisation="zscore",
    classes=("slow", "middle", "fast"),
    channels=("MLII",),
    units=("mV",),
    sampling_rate=360.0,
    window=WINDOW,
    study="waves",
    mode="corrected",
    cohort_digest="0123456789abcdef",
)
RECIPE = Recipe(
    learning_rate=2e-2,
    decay="linear",
    batch_size=32,
    clip=1.0,
    epochs=8,
    patience=None,
    per_class=80,
    dropout=0.2,
)


@dataclass(frozen=True)
class Parts:
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


TURN = np.arange(360) % 6
SPLIT = Parts(np.flatnonzero(TURN > 1), np.flatnonzero(TURN == 0), np.flatnonzero(TURN == 1))


def accuracy_on_test(cohort: Waves, workdir: Path) -> float:
    bundle = load_bundle(save_bundle(workdir / "version", CONFIG, [trained_network(workdir, CONFIG)]))
    with torch.no_grad():
        found = bundle.logits(bundle.normalise(torch.from_numpy(cohort.signals(SPLIT.test)))).argmax(1).numpy()
    return float((found == cohort.samples["label"].to_numpy()[SPLIT.test]).mean())


def test_a_member_learns_and_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cohort = Waves()
    weights = fit_member(cohort, SPLIT, CONFIG, RECIPE, tmp_path / "fit", seed=1)
    assert accuracy_on_test(cohort, tmp_path / "fit") > 0.9
    written = weights.stat().st_mtime_ns
    assert fit_member(cohort, SPLIT, CONFIG, RECIPE, tmp_path / "fit", seed=1) == weights
    assert weights.stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="holds the training of another recipe"):
        fit_member(cohort, SPLIT, CONFIG, replace(RECIPE, epochs=1), tmp_path / "fit", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["fit"], "Lightning left something behind"


def test_the_weights_are_those_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    cohort = Waves()
    wrong = (cohort.samples.loc[SPLIT.validation, "label"] + 1) % 3  # the more is learnt, the worse it fits
    cohort.samples.loc[SPLIT.validation, "label"] = wrong
    fit_member(cohort, SPLIT, CONFIG, replace(RECIPE, per_class=None), tmp_path, seed=2)
    losses = history(tmp_path)["validation_loss"]
    assert losses.iloc[-1] > 1.5 * losses.min(), "the last epoch must not be the best one here"
    member, rows = trained_network(tmp_path, CONFIG), SPLIT.validation
    labels = torch.from_numpy(cohort.samples["label"].to_numpy()[rows])
    with torch.no_grad():
        logits = member(normalise(torch.from_numpy(cohort.signals(rows)), "zscore"))
        loss = torch.nn.functional.cross_entropy(logits, labels)
    assert float(loss) == pytest.approx(losses.min(), rel=1e-5)


def test_patience_ends_training_that_does_not_improve(tmp_path: Path) -> None:
    cohort = Waves(constant=3.0)  # nothing to learn
    recipe = replace(RECIPE, patience=2, epochs=40)
    fit_member(cohort, SPLIT, CONFIG, recipe, tmp_path, seed=1)
    losses = history(tmp_path)["validation_loss"]
    assert len(losses) < 40
    assert len(losses) - 1 - int(losses.argmin()) == 2


KILLED_RUN = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("training_tests", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
tests.fit_member(tests.Waves(), tests.SPLIT, tests.CONFIG, tests.SLOW_RECIPE, Path(sys.argv[2]), seed=5)
"""
SLOW_RECIPE = replace(RECIPE, epochs=8, per_class=600, batch_size=16, learning_rate=2e-3)


def history_in_checkpoint(folder: Path) -> list[dict[str, float]]:
    for checkpoint in folder.glob(training.CHECKPOINT):
        return torch.load(checkpoint, weights_only=True)["callbacks"]["Progress"]["history"]
    return []


def test_a_killed_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", KILLED_RUN, __file__, str(killed)], env=environment)
    while len(history_in_checkpoint(killed)) < 2:
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = history_in_checkpoint(killed)
    assert 2 <= len(before) < SLOW_RECIPE.epochs
    assert not list(killed.glob(training.WEIGHTS))
    resumed = fit_member(Waves(), SPLIT, CONFIG, SLOW_RECIPE, killed, seed=5)
    undisturbed = fit_member(Waves(), SPLIT, CONFIG, SLOW_RECIPE, whole, seed=5)
    assert history(killed).to_dict("records")[: len(before)] == before, "the epochs done were done again"
    assert resumed.read_bytes() == undisturbed.read_bytes()
    columns = ["epoch", "training_loss", "validation_loss"]
    pd.testing.assert_frame_equal(history(killed)[columns], history(whole)[columns], check_exact=True)


def test_a_run_killed_after_its_last_epoch_does_not_train_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, patience=2, epochs=40)
    arguments = (Waves(constant=3.0), SPLIT, CONFIG, recipe)

    def killed(best: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_member(*arguments, tmp_path / "killed", seed=1)
    monkeypatch.undo()
    resumed = fit_member(*arguments, tmp_path / "killed", seed=1)
    undisturbed = fit_member(*arguments, tmp_path / "whole", seed=1)
    assert len(history(tmp_path / "killed")) == len(history(tmp_path / "whole"))
    assert resumed.read_bytes() == undisturbed.read_bytes()


def test_training_does_not_disturb_the_random_numbers_of_its_caller(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit_member(Waves(), SPLIT, CONFIG, replace(RECIPE, epochs=1), tmp_path, seed=1)
    assert torch.equal(torch.rand(4), expected)


def test_it_trains_in_a_thread_that_is_not_the_first(tmp_path: Path) -> None:
    found: list[Path] = []
    arguments = (Waves(), SPLIT, CONFIG, replace(RECIPE, epochs=1), tmp_path)
    thread = threading.Thread(target=lambda: found.append(fit_member(*arguments, seed=1)))
    thread.start()
    thread.join()
    assert found[0].exists()


def test_off_a_terminal_it_tells_the_epochs_in_plain_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tasks.progress.SECONDS_BETWEEN_LINES", 0.0)
    fit_member(Waves(), SPLIT, CONFIG, replace(RECIPE, epochs=3), tmp_path, seed=1)
    captured = capfd.readouterr()
    assert "1 of 3, about" in captured.out
    assert "lightning" not in (captured.out + captured.err).lower()


def test_rare_classes_are_drawn_as_often_as_common_ones() -> None:
    labels = torch.tensor([0] * 50 + [1] * 7)
    held = windows.Windows(torch.zeros(57, 1, 4), labels)
    batches = windows.Batches(held, replace(RECIPE, per_class=20, batch_size=16), seed=0)
    drawn = torch.cat([rows for _, rows in batches])
    assert torch.bincount(drawn).tolist() == [20, 20]
    assert len(batches) == len(list(batches)) == 3
    order = batches._order()
    uses = np.bincount(order[order >= 50] - 50)
    assert uses.max() - uses.min() <= 1
    batches.epoch = 1
    assert not np.array_equal(np.sort(order), np.sort(batches._order())), "every epoch draws afresh"


def test_validation_is_capped_by_class_and_drawn_once() -> None:
    cohort = Waves()
    chosen = training._validation_samples(cohort, SPLIT, replace(RECIPE, per_class=5), seed=4)
    assert cohort.samples.loc[chosen, "label"].value_counts().to_dict() == {0: 5, 1: 5, 2: 5}
    again = training._validation_samples(cohort, SPLIT, replace(RECIPE, per_class=5), seed=4)
    assert np.array_equal(chosen, again)


def test_many_windows_lie_in_a_mapped_file_and_are_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = Waves()
    in_memory = windows.Windows.read(cohort, np.arange(360), CONFIG, tmp_path)
    monkeypatch.setattr(windows, "MEMORY_FOR_WINDOWS", 1)
    monkeypatch.setattr(windows, "POINTS_AT_ONCE", 100 * WINDOW)
    cohort.largest_read = 0
    mapped = windows.Windows.read(cohort, np.arange(360), CONFIG, tmp_path)
    assert torch.equal(mapped.inputs, in_memory.inputs)
    assert cohort.largest_read == 100
    assert not list(tmp_path.iterdir())


def test_class_weights_are_scikit_learns_balanced_ones() -> None:
    labels = torch.tensor([0] * 50 + [2] * 7 + [3] * 3)
    expected = compute_class_weight("balanced", classes=np.array([0, 2, 3]), y=labels.numpy())
    found = windows.balanced_weights(labels, 4)
    assert found[[0, 2, 3]].numpy() == pytest.approx(expected)
    assert found[1] == 0


def test_weights_multiply_the_training_losses_of_their_class_only() -> None:
    torch.manual_seed(0)
    network, inputs, labels = torch.nn.Linear(4, 3), torch.randn(9, 4), torch.arange(9) % 3
    weights = torch.tensor([0.5, 1.0, 3.0])
    batches = windows.Batches(windows.Windows(inputs[:, None], labels), RECIPE, seed=0)
    learner = Learner(network, RECIPE, objective("classification", "cross_entropy"), 0, batches, weights)
    logits = network(inputs).detach()
    losses = [-logits[row].log_softmax(0)[label] for row, label in enumerate(labels)]
    expected = sum(weights[label] * loss for label, loss in zip(labels, losses, strict=True)) / 9
    assert learner.training_step((inputs, labels), 0).item() == pytest.approx(float(expected))
    learner.validation_step((inputs, labels), 0)
    assert learner.mean_loss("validation") == pytest.approx(float(sum(losses)) / 9), "validation counts all alike"


def test_the_recipe_balances_the_classes(tmp_path: Path) -> None:
    cohort = Waves()
    parts = replace(SPLIT, train=SPLIT.train[: len(SPLIT.train) // 2])
    recipe = replace(RECIPE, per_class=None, epochs=1)
    alike = fit_member(cohort, parts, CONFIG, recipe, tmp_path / "alike", seed=1)
    balanced = fit_member(cohort, parts, CONFIG, replace(recipe, class_weights="balanced"), tmp_path / "even", seed=1)
    assert cohort.samples.loc[parts.train, "label"].value_counts().nunique() > 1
    assert alike.read_bytes() != balanced.read_bytes()


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, -np.inf]), max_size=40))
def test_the_rate_falls_after_every_five_epochs_without_a_new_best(merits: list[float]) -> None:
    """The oracle counts back from every epoch how long ago the best or the last fall was."""
    falls: list[int] = []
    for epoch in range(len(merits)):
        new_best = [k for k in range(epoch + 1) if merits[k] > max(merits[:k], default=-np.inf)]
        since = max([-1, *new_best, *falls])
        if epoch - since == 5:
            falls.append(epoch)
    assert reductions(merits) == len(falls)


PLATEAU_RECIPE = replace(
    RECIPE, decay="plateau", monitor="validation_accuracy", per_class=None, patience=11, epochs=30, dropout=0.0
)


def test_the_rate_falls_on_a_plateau_and_patience_counts_accuracy(tmp_path: Path) -> None:
    fit_member(Waves(constant=3.0), SPLIT, CONFIG, PLATEAU_RECIPE, tmp_path, seed=1)
    told = history(tmp_path)
    assert told["validation_accuracy"].nunique() <= 3, "one class is guessed throughout"
    expected = [2e-2 * 0.1 ** reductions(told["validation_accuracy"][:epoch].tolist()) for epoch in range(len(told))]
    assert told["learning_rate"].tolist() == pytest.approx(expected)
    assert told["learning_rate"].iloc[-1] == pytest.approx(2e-4)
    assert len(told) - 1 - int(told["validation_accuracy"].argmax()) == 11


def test_a_training_interrupted_on_a_plateau_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(PLATEAU_RECIPE, class_weights="balanced", epochs=9)
    arguments = (Waves(constant=3.0), SPLIT, CONFIG, recipe)
    validated = Progress.on_validation_end

    def interrupted(self: Progress, trainer: Trainer, learner: Learner) -> None:
        if len(self.history) == 7:
            raise ConnectionError
        validated(self, trainer, learner)

    monkeypatch.setattr(Progress, "on_validation_end", interrupted)
    with pytest.raises(ConnectionError):
        fit_member(*arguments, tmp_path / "killed", seed=1)
    monkeypatch.undo()
    resumed = fit_member(*arguments, tmp_path / "killed", seed=1)
    undisturbed = fit_member(*arguments, tmp_path / "whole", seed=1)
    assert history(tmp_path / "whole")["learning_rate"].nunique() > 1, "the rate must have fallen"
    assert resumed.read_bytes() == undisturbed.read_bytes()


def test_the_weights_are_those_of_the_highest_validation_accuracy(tmp_path: Path) -> None:
    cohort = Waves()
    recipe = replace(RECIPE, monitor="validation_accuracy", per_class=None)
    fit_member(cohort, SPLIT, CONFIG, recipe, tmp_path, seed=2)
    member, rows = trained_network(tmp_path, CONFIG), SPLIT.validation
    with torch.no_grad():
        guesses = member(normalise(torch.from_numpy(cohort.signals(rows)), "zscore")).argmax(1).numpy()
    found = (guesses == cohort.samples["label"].to_numpy()[rows]).mean()
    assert found == pytest.approx(history(tmp_path)["validation_accuracy"].max())


def test_a_narrow_sleep_network_learns_to_tell_frequencies(tmp_path: Path) -> None:
    cohort = Waves()
    cohort._signals = np.repeat(cohort._signals, 2, axis=2)  # long enough for the network
    config = replace(CONFIG, network="sleep-cnn", arguments={"channels": 1, "classes": 3, "width": 2}, window=120)
    recipe = replace(PLATEAU_RECIPE, learning_rate=5e-3, class_weights="balanced", dropout=0.01, epochs=12)
    fit_member(cohort, SPLIT, config, recipe, tmp_path, seed=1)
    assert history(tmp_path)["validation_accuracy"].max() > 0.9


SGD_RECIPE = replace(
    RECIPE, optimiser="sgd", momentum=0.7, decay="none", learning_rate=5e-3, batch_size=16, dropout=0.1
)


def test_sgd_follows_the_running_mean_of_gradients() -> None:
    """The oracle: two steps of heavy-ball momentum, written out."""
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 3)
    inputs, labels = torch.randn(2, 9, 4), torch.arange(9) % 3
    batches = windows.Batches(windows.Windows(inputs[0, :, None], labels), SGD_RECIPE, seed=0)
    learner = Learner(network, SGD_RECIPE, objective("classification", "cross_entropy"), 0, batches, None)
    optimiser = learner.configure_optimizers()
    expected, velocity = network.weight.detach().clone(), torch.zeros(3, 4)
    for part in inputs:
        optimiser.zero_grad()
        learner.training_step((part, labels), 0).backward()
        velocity = 0.7 * velocity + network.weight.grad
        expected -= 5e-3 * velocity
        optimiser.step()
        torch.testing.assert_close(network.weight.detach(), expected)


def test_a_residual_network_learns_by_sgd_and_is_kept_as_it_is_used(tmp_path: Path) -> None:
    """Its batch norms and dropout behave at validation as they do when the version is loaded."""
    cohort = Waves()
    cohort._signals = np.repeat(cohort._signals, 4, axis=2)  # long enough for the network
    arguments = {"channels": 1, "classes": 3, "width": 4, "depth": 2}
    config = replace(CONFIG, network="ecg-cam", arguments=arguments, window=240)
    fit_member(cohort, SPLIT, config, replace(SGD_RECIPE, monitor="validation_accuracy"), tmp_path, seed=1)
    best = history(tmp_path)["validation_accuracy"].max()
    assert best > 0.9
    member, rows = trained_network(tmp_path, config), SPLIT.validation
    assert not member.training
    with torch.no_grad():
        guesses = member(normalise(torch.from_numpy(cohort.signals(rows)), "zscore")).argmax(1).numpy()
    assert (guesses == cohort.samples["label"].to_numpy()[rows]).mean() == pytest.approx(best)


def test_adam_refuses_a_momentum() -> None:
    with pytest.raises(ValueError, match=r"momentum is 0\.7 for optimiser 'adam'; expected 0"):
        replace(RECIPE, momentum=0.7)


def test_a_recipe_evens_the_classes_out_once_only() -> None:
    with pytest.raises(ValueError, match="class_weights is 'balanced' and per_class 80"):
        replace(RECIPE, class_weights="balanced")


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    nothing = replace(SPLIT, validation=np.array([], int))
    with pytest.raises(ValueError, match="no samples in its part 'validation'"):
        fit_member(Waves(), nothing, CONFIG, RECIPE, tmp_path / "empty", seed=1)
    with pytest.raises(ValueError, match=r"shape \(1, 60\); expected \(channel, time\) = \(1, 61\)"):
        fit_member(Waves(), SPLIT, replace(CONFIG, window=61), RECIPE, tmp_path, seed=1)


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not finite in any of 2 epochs"):
        fit_member(Waves(constant=float("nan")), SPLIT, CONFIG, replace(RECIPE, epochs=2), tmp_path, seed=1)
