"""The one command: a table, a CSV, a figure and an MLflow run; bad names are usage errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLUMBLINE_", "MLFLOW_", "PREFECT_"))}
    environment = {
        **kept,
        "PLUMBLINE_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests'}",
    }
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True
    )


def test_one_row_ends_in_a_table_files_and_an_mlflow_run(tmp_path: Path) -> None:
    done = command(tmp_path / "home", "--rows", "bootstraps", "--minutes", "0", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "bootstraps intervals of 15 means" in done.stdout
    folder = tmp_path / "home" / "bench" / "cpu"
    table = pd.read_csv(folder / "bench.csv")
    assert table["row"].tolist() == ["bootstraps"]
    assert table["rounds"].tolist() == [5]
    assert (table["ratio_low"] <= table["ratio"]).all()
    assert (folder / "bench.png").stat().st_size > 10_000
    assert (tmp_path / "home" / "mlflow.db").exists()
    run_id = done.stdout.split("MLflow run ")[1].split()[0]
    logged = {path.name for path in (tmp_path / "home" / "artifacts" / "bench" / run_id / "artifacts").iterdir()}
    assert logged == {"bench.csv", "bench.png"}


@pytest.mark.parametrize("rows", ["nothing-like-it"])
def test_a_pattern_without_a_row_is_a_usage_error(tmp_path: Path, rows: str) -> None:
    done = command(tmp_path / "home", "--rows", rows)
    assert done.returncode == 2
    assert f"no row matches '{rows}'" in done.stderr
