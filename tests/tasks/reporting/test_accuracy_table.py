"""Our rows of Table 1: the newest finished training of each mode and cohort, whatever else lies in the home."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

from tasks.reporting.accuracy_table import COLUMNS, table_of, trained_accuracies
from tasks.training.fitting import REFERENCE, Training


def trained(root: Path, key: str, accuracy: float, *, moment: int, study: str = "a-study") -> Path:
    """A finished training of that accuracy, last written at ``moment``."""
    folder = root / "trainings" / key
    (folder / "tables").mkdir(parents=True)
    training = Training(
        key=key,
        study=study,
        mode="corrected",
        subset="all",
        folder=folder,
        cohort=root / "cohort",
        members=2,
        recipe={},
        network={"arguments": {"hidden": [4, 3]}},
    )
    (folder / REFERENCE).write_text(training.model_dump_json())
    numbers = {"accuracy_mean": accuracy, "accuracy_sd": 0.1, "balanced_accuracy": 0.5, "samples": 7}
    done = folder / "tables" / "performance.json"
    done.write_text(json.dumps(numbers))
    os.utime(done, (moment, moment))
    return folder


def test_the_newest_training_stands_for_its_mode_and_cohort(tmp_path: Path) -> None:
    trained(tmp_path, "new", 0.9, moment=2_000)
    trained(tmp_path, "old", 0.8, moment=1_000)
    trained(tmp_path, "other", 0.1, moment=3_000, study="another")
    (row,) = trained_accuracies("a-study", tmp_path)
    assert (row["accuracy"], row["hidden units"], row["source"]) == (0.9, "4 x 3", "here, corrected mode")


def test_a_segmentation_is_shown_by_its_dice(tmp_path: Path) -> None:
    folder = trained(tmp_path, "unet", 0.0, moment=1)
    training = Training.model_validate_json((folder / REFERENCE).read_text())
    changed = training.model_copy(update={"task": "segmentation", "network": {"arguments": {"width": 4}}})
    (folder / REFERENCE).write_text(changed.model_dump_json())
    numbers = {"dice_mean": 0.5, "dice_sd": 0.1, "dice_training_mode": 0.6, "minutes_per_member": 3.0, "samples": 12}
    (folder / "tables" / "performance.json").write_text(json.dumps(numbers))
    nets = {
        "member": [0, 1],
        "samples": [6, 6],
        "dice": [0.4, 0.6],
        "dice_training_mode": [0.5, 0.7],
        "minutes": [2, 4],
    }
    pd.DataFrame(nets).to_csv(folder / "tables" / "members.csv", index=False)
    table = table_of([*trained_accuracies("a-study", tmp_path), {"source": "paper", "Dice": 0.55}])
    assert table["Dice"].tolist() == [0.5, 0.4, 0.6, 0.55]
    assert table["source"].tolist()[1] == "here, corrected mode, net 0"
    assert table["minutes"].tolist()[:3] == [3.0, 2.0, 4.0]
    assert (table["Dice in training mode"][0], table["minutes"][0], table["width"][0]) == (0.6, 3.0, 4.0)
    assert "accuracy" not in table
    assert table_of([{"accuracy": 0.9}]).columns.tolist() == COLUMNS


def test_a_training_without_reference_or_result_is_passed_over(tmp_path: Path) -> None:
    (trained(tmp_path, "older-version", 0.7, moment=1) / REFERENCE).unlink()
    (trained(tmp_path, "unfinished", 0.6, moment=1) / "tables" / "performance.json").unlink()
    assert list(trained_accuracies("a-study", tmp_path)) == []
