"""Guards of the house: who imports whom, what the wheel holds, nothing hides the mlflow package."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ("flows", "tasks", "xai", "models")
MAY_IMPORT = {
    "flows": {"flows", "tasks", "xai", "models"},
    "tasks": {"tasks", "xai", "models"},
    "xai": {"xai"},
    "models": {"models"},
}
TORCH_ONLY = {"mlflow", "prefect", "lightning", "sqlalchemy", "wfdb", "mne", "nibabel", "zarr", "xarray"}
STUDIES = (
    "ecg-beats",
    "mnist-scanline",
    "icu-vitals",
    "nicu-vitals",
    "sleep-stages",
    "sleep-spindles",
    "stroke-lesions",
    "ms-lesions",
    "ecg-rhythms",
)


def _sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imported(path: Path) -> set[str]:
    """Top-level names that a file imports; relative imports count as the package they reach."""
    found: set[str] = set()
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            reached = parts[: len(parts) - node.level]
            found.add(reached[0] if reached else "<above the package>")
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_mlflow_package_is_not_hidden() -> None:
    assert not (ROOT / "mlflow" / "__init__.py").exists()
    code = "import mlflow; print(mlflow.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "site-packages" in found.stdout


@pytest.mark.parametrize("package", HOUSE)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    for path in _sources(package):
        forbidden = (_imported(path) & set(HOUSE)) - MAY_IMPORT[package]
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"
        assert "<above the package>" not in _imported(path), f"{path} imports from above the house"


@pytest.mark.parametrize("package", ["xai", "models"])
def test_shipped_packages_import_themselves_relatively_and_no_platform(package: str) -> None:
    for path in _sources(package):
        names = {
            node.module.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
        }
        assert package not in names, f"{path.relative_to(ROOT)} imports its own package absolutely"
        assert not _imported(path) & TORCH_ONLY, f"{path.relative_to(ROOT)} imports a platform"


@pytest.mark.parametrize("package", ["tasks", "xai", "models"])
def test_only_flows_name_a_study(package: str) -> None:
    for path in _sources(package):
        strings = [
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert not set(strings) & set(STUDIES), f"{path.relative_to(ROOT)} names a study"


def test_no_source_uses_pickle() -> None:
    for package in (*HOUSE, "mlflow"):
        for path in _sources(package):
            assert not _imported(path) & {"pickle", "cloudpickle", "dill", "joblib"}, path
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load":
                    assert "weights_only=True" in ast.unparse(call), path


def test_the_wheel_holds_only_the_four_packages(tmp_path: Path) -> None:
    # From a copy: setuptools leaves a build folder, whose stale modules the next wheel would hold.
    checkout = tmp_path / "checkout"
    for package in HOUSE:
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "mlflow", checkout / "mlflow")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == set(HOUSE)
    assert any(name.startswith("tasks/ledger/migrations/versions/") for name in names)
    assert {"tasks/reporting/templates/report.html.j2", "tasks/cohorts/sleep_telemetry.csv"} <= set(names)
