"""The model registry: a bundle becomes a version that loads without pickle and with its own code."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Self

import mlflow
import numpy as np
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from packaging.version import Version

from models.bundle import VERSION_FILE, BundleConfig, load_bundle

from ..digests import SHIPPED_PACKAGES, code_digest
from ..errors import PlumblineError
from ..settings import CHECKOUT

SERVED_MODEL = CHECKOUT / "mlflow" / "pyfunc" / "classifier.py"
REQUIREMENTS = ("mlflow", "torch", "numpy", "safetensors", "captum", "pandas", "scipy")
KEY_TAG = "plumbline.key"
CODE_TAG = "plumbline.code"


@dataclass(frozen=True)
class VersionRef:
    """One registered version; ``model_id`` is the logged model that metrics are linked to."""

    name: str
    version: str
    model_id: str
    run_id: str

    @property
    def uri(self) -> str:
        """What MLflow loads."""
        return f"models:/{self.name}/{self.version}"

    @classmethod
    def of(cls, name: str, version: str | int) -> Self:
        """The version of that number; PlumblineError if there is none."""
        try:
            return cls._from(mlflow.MlflowClient().get_model_version(name, str(version)))
        except MlflowException as error:
            if not _is_absent(error):
                raise
            raise PlumblineError(
                f"{name} has no version {version}; expected the number of a registered version."
            ) from error

    @classmethod
    def _from(cls, found: ModelVersion) -> Self:
        # MLflow leaves model_id empty on registered versions, but names the logged model in the source.
        return cls(found.name, str(found.version), str(found.source).rpartition("/")[2], found.run_id or "")


def register_version(
    bundle: Path, *, name: str, run_id: str, tags: Mapping[str, str], input_example: np.ndarray | None
) -> VersionRef:
    """Logs a bundle to the run as a model and registers it under ``name``.

    ``input_example`` is ``(sample, channel, time)``, float32, in physical units; None for volumes, of which MLflow
    would keep two copies as text, tens of megabytes each. The version gets ``tags`` and the digest of the code that
    it ships. ValueError if the bundle cannot be loaded.
    """
    config = load_bundle(bundle).config
    with _active(run_id), tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        for advice in ("Add type hints", "An input example was not provided"):  # the version has a signature
            warnings.filterwarnings("ignore", message=f".*{advice}")
        shutil.copytree(bundle, Path(folder) / "bundle")
        code = ship_code(Path(folder))
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(SERVED_MODEL),
            artifacts={"bundle": str(Path(folder) / "bundle")},
            model_config={"code_package": code.name},
            code_paths=[str(code)],
            signature=signature_of(config),
            input_example=input_example,
            pip_requirements=[f"{package}=={Version(installed(package)).public}" for package in REQUIREMENTS],
            metadata=_metadata(config),
        )
    every_tag = {**tags, CODE_TAG: code_digest()}
    return VersionRef._from(mlflow.register_model(logged.model_uri, name, tags=every_tag))


def signature_of(config: BundleConfig) -> ModelSignature:
    """Samples (sample, channel, *grid) in, probabilities out; ``explain`` names an explainer or is empty.

    Probabilities are (sample, class), of a segmentation (sample, class, *grid).
    """
    answered = (len(config.classes), *(config.grid if config.task == "segmentation" else ()))
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(config.channels), *config.grid))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *answered), "probability")]),
        params=ParamSchema([ParamSpec("explain", DataType.string, "")]),
    )


def ship_code(folder: Path) -> Path:
    """Copies `models` and `xai` under a parent package named by their digest, and returns it.

    Two versions in one process then each import their own code, and neither collides with a package
    `models` of the team that loads them.
    """
    package = folder / f"plumbline_code_{code_digest()}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""The code of a registered Plumbline version."""\n')
    for name in SHIPPED_PACKAGES:
        shutil.copytree(CHECKOUT / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def find_version(name: str, key: str) -> VersionRef | None:
    """The newest version that carries this key as its tag, if any."""
    return _newest(f"name = '{name}' and tags.`{KEY_TAG}` = '{key}'")


def resolve(reference: str) -> VersionRef:
    """The version that ``name@alias`` means now, or ``name/number``.

    Jobs resolve once and then use the number: a promotion during the job must not mix versions.
    PlumblineError if the reference is neither, or means nothing.
    """
    name, at, alias = reference.partition("@")
    if not at:
        name, _, number = reference.rpartition("/")
        if not name or not number.isdigit():
            raise PlumblineError(f"version is {reference!r}; expected name@alias or name/number.")
        return VersionRef.of(name, number)
    found = _of_alias(name, alias)
    if found is None:
        raise PlumblineError(f"{name} has no version with the alias {alias!r}; expected one that was set.")
    return found


def resolve_for_evaluation(name: str, version: str | None) -> VersionRef | None:
    """The version of that number; without one the champion, else the challenger, else None."""
    if version is not None:
        return VersionRef.of(name, version)
    return _of_alias(name, "champion") or _of_alias(name, "challenger")


def champion_now(name: str) -> VersionRef | None:
    """The version that is champion at this moment, if any; resolve once and keep to it."""
    return _of_alias(name, "champion")


def newest_of_mode(name: str, mode: str, cohort_digest: str) -> VersionRef | None:
    """The newest version that was trained in a mode on a cohort, if any."""
    wanted = f"name = '{name}' and tags.`plumbline.mode` = '{mode}' and tags.`plumbline.cohort` = '{cohort_digest}'"
    return _newest(wanted)


def resolve_for_gate(name: str, version: str | None) -> VersionRef:
    """The version of that number; without one the challenger. PlumblineError if there is none."""
    return VersionRef.of(name, version) if version is not None else resolve(f"{name}@challenger")


def set_alias(version: VersionRef, alias: str) -> None:
    """Moves the alias to this version."""
    mlflow.MlflowClient().set_registered_model_alias(version.name, alias, version.version)


def set_version_tags(version: VersionRef, tags: Mapping[str, str]) -> None:
    """Sets tags on a registered version."""
    for tag, value in tags.items():
        mlflow.MlflowClient().set_model_version_tag(version.name, version.version, tag, value)


def download(version: VersionRef, root: Path) -> Path:
    """The version's bundle as a local folder under ``root``; fetched once."""
    folder = root / "versions" / version.model_id
    if (folder / VERSION_FILE).exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
        source = f"models:/{version.name}/{version.version}/artifacts/bundle"
        fetched = Path(mlflow.artifacts.download_artifacts(source, dst_path=partial))
        try:
            fetched.rename(folder)
        except OSError:  # another process was faster
            if not (folder / VERSION_FILE).exists():
                raise
    return folder


def _newest(wanted: str) -> VersionRef | None:
    found = mlflow.MlflowClient().search_model_versions(wanted)
    return VersionRef._from(max(found, key=lambda each: int(each.version))) if found else None


def _of_alias(name: str, alias: str) -> VersionRef | None:
    try:
        return VersionRef._from(mlflow.MlflowClient().get_model_version_by_alias(name, alias))
    except MlflowException as error:
        if not _is_absent(error):
            raise
        return None


def _is_absent(error: MlflowException) -> bool:
    """Whether MLflow says that there is no such thing; a server that is away is another matter."""
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@contextmanager
def _active(run_id: str) -> Iterator[None]:
    active = mlflow.active_run()
    if active is not None and active.info.run_id == run_id:
        yield
        return
    with mlflow.start_run(run_id=run_id, nested=True):
        yield


def _metadata(config: BundleConfig) -> dict[str, object]:
    """What a team needs to read inputs and answers."""
    return {
        "classes": list(config.classes),
        "channels": list(config.channels),
        "units": list(config.units),
        "sampling_rate": config.sampling_rate,
        "window": config.window,
        "task": config.task,
        "volume": list(config.volume) if config.volume else None,
        "study": config.study,
        "mode": config.mode,
    }
