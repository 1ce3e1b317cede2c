"""What is said to developers is not shown; what is said to users is."""

from __future__ import annotations

import warnings

import pytest

from tasks.chatter import silence_libraries


@pytest.fixture
def shown(monkeypatch):
    heard: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_, **__: heard.append(str(message)))
    silence_libraries()
    return heard


def warn_from(filename: str) -> None:
    warnings.warn_explicit(f"from {filename}", UserWarning, filename, 1)


def test_libraries_are_silent_even_behind_a_filter_of_their_own(shown):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warn_from("/site-packages/mlflow/pyfunc/utils/data_validation.py")
        warn_from("/site-packages/zarr/core.py")
        warn_from("/home/me/models/lstm.py")
    assert shown == ["from /home/me/models/lstm.py"]
