"""The description of a served version: valid, and as narrow as the version's own sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tasks.serving.describing import CONTRACT, describe, example_of

WINDOWS: dict[str, Any] = {
    "classes": ["W", "N1", "N2"],
    "channels": ["EEG Fpz-Cz", "EOG horizontal"],
    "units": ["SD", "SD"],
    "sampling_rate": 100.0,
    "window": 300,
    "task": "classification",
    "volume": None,
}
VOLUMES: dict[str, Any] = {
    **WINDOWS,
    "classes": ["background", "lesion"],
    "window": 40_000,
    "task": "segmentation",
    "volume": [10, 50, 80],
}


def validator(contract: dict[str, Any], schema: str) -> OAS31Validator:
    return OAS31Validator({"$ref": f"#/components/schemas/{schema}", "components": contract["components"]})


def test_the_contract_of_every_study_is_valid_and_takes_windows_and_volumes() -> None:
    contract = yaml.safe_load(CONTRACT.read_text())
    OpenAPIV31SpecValidator(contract).validate()
    for metadata in (WINDOWS, VOLUMES):
        assert validator(contract, "Question").is_valid({"inputs": example_of(metadata).tolist()})
    assert not validator(contract, "Question").is_valid({"instances": [[[0.0]]]})
    assert not validator(contract, "Question").is_valid({"inputs": []})


@pytest.mark.parametrize("metadata", [WINDOWS, VOLUMES], ids=["windows", "volumes"])
def test_a_version_takes_and_gives_its_own_shape_alone(metadata: dict[str, Any]) -> None:
    contract = describe("sleep-stages version 7", metadata)
    OpenAPIV31SpecValidator(contract).validate()
    assert contract["info"]["title"] == "sleep-stages version 7"
    example = example_of(metadata)
    grid = metadata["volume"] or [300]
    assert example.shape == (1, 2, *grid)
    assert np.ptp(example, axis=tuple(range(2, example.ndim))).min() > 0.5, "a flat channel cannot be standardised"
    assert validator(contract, "Question").is_valid({"inputs": example.tolist()})
    for wrong in (example[:, :1], example[:, :, 1:], example[0], np.concatenate([example] * 2, axis=1)):
        assert not validator(contract, "Question").is_valid({"inputs": wrong.tolist()})
    answered = np.full((1, len(metadata["classes"]), *(metadata["volume"] or [])), 0.5)
    for probability, valid in ((answered, True), (answered * 3, False), (answered[:, 1:], False)):
        answer = {"predictions": {"probability": probability.tolist(), "attribution": (-example).tolist()}}
        assert validator(contract, "Answer").is_valid(answer) == valid


def test_examples_are_given_where_a_person_can_read_them() -> None:
    def examples(metadata: dict[str, Any]) -> dict[str, Any]:
        post = describe("x", metadata)["paths"]["/invocations"]["post"]
        return post["requestBody"]["content"]["application/json"].get("examples", {})

    assert set(examples(WINDOWS)) == {"predict", "explain"}
    assert examples(VOLUMES) == {}


def test_it_says_what_a_sample_is() -> None:
    assert (
        "EEG Fpz-Cz in SD, EOG horizontal in SD; 300 points at 100 Hz. Classes, in order: W, N1, N2."
        in (describe("x", WINDOWS)["info"]["description"])
    )
    assert "10 x 50 x 80 depth x height x width" in describe("x", VOLUMES)["info"]["description"]
