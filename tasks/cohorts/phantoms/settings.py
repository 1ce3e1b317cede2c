"""Reads a phantom's settings: numbers and folders, or texts as ``--set NAME=VALUE`` gives them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

Settings = TypeVar("Settings")
FOLDER = {"kind": Path}
"""Metadata of a dataclass field ``Path | None``: a folder that must be there; None or an empty text means none."""


def setting(default: float, low: float, high: float) -> Any:
    """A dataclass field with its range, both ends included; an int default asks for an int."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "kind": type(default)})


def parse_settings(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """The frozen dataclass ``kind`` with the given values. ValueError for an unknown name or a bad value."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(given.keys() - fields.keys())
    if unknown:
        raise ValueError(f"The phantom has no setting {unknown[0]!r}; expected one of {', '.join(fields)}.")
    return kind(**{name: _parsed(fields[name], value) for name, value in given.items()})


def _parsed(field: dataclasses.Field[Any], value: Any) -> Any:
    return _folder(field.name, value) if field.metadata["kind"] is Path else _number(field, value)


def _folder(name: str, value: Any) -> Path | None:
    if value is None or value == "":
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{name} is {str(value)!r}, which is no folder; expected a folder that is there.")
    return folder


def _number(field: dataclasses.Field[Any], value: Any) -> float:
    low, high = field.metadata["low"], field.metadata["high"]
    kind = field.metadata["kind"]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high or (kind is int and number != int(number)):
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{field.name} is {value!r}; expected {what} from {low:g} to {high:g}.")
    return kind(number)
