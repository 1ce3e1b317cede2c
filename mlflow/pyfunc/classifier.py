"""The served model: probabilities and, asked for, attributions. MLflow loads this file by its path.

The code of the version (`models` and `xai`) travels with it under a parent package that bears their digest;
its name is in the model's configuration. Nothing is imported from a checkout.
"""

from __future__ import annotations

import hashlib
import importlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

WINDOWS_AT_ONCE, VOLUMES_AT_ONCE = 64, 1


class Classifier(PythonModel):
    """The mean of the fold members, on windows or volumes in physical units."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the members with the version's own code."""
        code = context.model_config["code_package"]
        _check_description(Path(context.artifacts["bundle"]) / "version.json", context.model_config.get("description"))
        self._bundle = importlib.import_module(f"{code}.models.bundle").load_bundle(context.artifacts["bundle"])
        self._explainer = importlib.import_module(f"{code}.xai.methods").explainer

    # A type hint on model_input would make MLflow infer a signature from it; the version has its own.
    def predict(  # type: ignore[no-untyped-def]
        self, context: PythonModelContext, model_input, params: dict[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """Gives ``probability`` (sample, class) and, with ``explain``, ``attribution`` of the input.

        ``model_input`` is (sample, channel, time), physical units, or (sample, channel, depth, height, width) for a
        segmentation, whose ``probability`` is (sample, class, depth, height, width). ``params["explain"]`` names an
        explainer. An attribution explains the predicted class, of a segmentation the lesion: the mean over members
        of each one's attribution. What a sample gets depends on no other sample. MlflowException (HTTP 400) says
        what was found and expected.
        """
        samples = self._checked(model_input)
        name = (params or {}).get("explain") or ""
        explain = self._named(name) if name else None
        at_once = VOLUMES_AT_ONCE if self._bundle.config.volume else WINDOWS_AT_ONCE
        parts = [self._answer(part, explain, name) for part in samples.split(at_once)]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _answer(self, samples: torch.Tensor, explain: Any, name: str) -> dict[str, np.ndarray]:
        inputs = self._bundle.normalise(samples)
        with torch.no_grad():
            logits = self._bundle.logits(inputs)
        answer = {"probability": logits.softmax(dim=1).numpy()}
        if explain is not None:
            seeds = torch.tensor([zlib.crc32(sample.numpy().tobytes()) for sample in samples])
            targets = self._bundle.explained_classes(logits)
            try:
                maps = [explain.attribute(m, inputs, targets, seeds=seeds) for m in self._bundle.members]
            except ValueError as error:
                raise _refused(f"explain={name!r} cannot explain this input: {error}") from error
            answer["attribution"] = torch.stack(maps).mean(dim=0).detach().numpy().astype(np.float32)
        return answer

    def _named(self, name: str) -> Any:
        try:
            return self._explainer(name)
        except ValueError as error:
            raise _refused(str(error)) from error

    def _checked(self, model_input: Any) -> torch.Tensor:
        config = self._bundle.config
        shape = (len(config.channels), *config.grid)
        expected = f"(sample, {', '.join(map(str, shape))})"
        try:
            samples = np.ascontiguousarray(model_input, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise _refused(f"inputs are not an array of numbers; expected the shape {expected}.") from error
        if samples.shape[1:] != shape or not len(samples):
            units = ", ".join(f"{c} in {u}" for c, u in zip(config.channels, config.units, strict=True))
            grid = "on depth, height and width" if config.volume else f"at {config.sampling_rate:g} Hz"
            raise _refused(
                f"inputs have the shape {samples.shape}; expected {expected} with at least one sample: {units} {grid}."
            )
        bad = np.flatnonzero(~np.isfinite(samples.reshape(len(samples), -1)).all(axis=1))
        if len(bad):
            raise _refused(f"inputs have NaN or infinite values in sample {bad[0]}; expected finite numbers.")
        return torch.from_numpy(samples.copy())


def _check_description(path: Path, expected: str | None) -> None:
    """The description names the weights' digests; its own is in the model's configuration."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if expected is not None and found != expected:
        raise ValueError(f"{path} has SHA-256 {found[:12]}…; the model expects {expected[:12]}….")


def _refused(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


set_model(Classifier())
