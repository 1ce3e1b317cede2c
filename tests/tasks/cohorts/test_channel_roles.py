"""Signals are found by name and unit; what cannot be found is said with what is there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cohorts.channel_roles import ROLES, Signal, assign, common_unit
from tasks.cohorts.errors import UnusableRecording

UNITS = {"ECG": "mV", "ABP": "mmHg", "ICP": "mmHg", "PLETH": "NU", "SPO2": "%", "RESP": "pm"}


def signal(name: str, unit: str = "mV", rate: float = 125.0) -> Signal:
    return Signal(name, unit, rate)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        *[
            ("ECG", name)
            for name in ("I", "II", "III", "V", "V1", "V5", "MCL1", "MLII", "ECG", "ECG1", "aVR", "AVF", "ECG II")
        ],
        *[("ABP", name) for name in ("ABP", "ART", "BP", "P1", "abp", "ART2")],
        *[("ICP", "ICP"), ("PLETH", "PLETH"), ("PLETH", "PPG"), ("SPO2", "SpO2"), ("RESP", "RESP")],
    ],
)
def test_every_usual_name_is_known(role, name):
    (found,) = assign([signal("other"), signal(name, UNITS[role])], [role])
    assert (found.role, found.number, found.signal.name) == (role, 1, name)


@pytest.mark.parametrize(
    ("role", "name"), [("ECG", "IV"), ("ECG", "VP"), ("ABP", "CVP"), ("ABP", "PAP"), ("ICP", "ICPX")]
)
def test_a_name_that_only_looks_like_one_is_not_taken(role, name):
    with pytest.raises(UnusableRecording, match=f"no {role} signal, only {name}"):
        assign([signal(name, UNITS[role])], [role])


@settings(max_examples=30, deadline=None)
@given(st.permutations(["V", "II", "MCL1", "I", "aVL"]))
def test_the_preferred_lead_wins_wherever_it_stands(names):
    (found,) = assign([signal(name) for name in names], ["ECG"])
    assert found.signal.name == "II"
    (found,) = assign([signal(name) for name in names if name != "II"], ["ECG"])
    assert found.signal.name == "I"


def test_the_pulse_is_a_pressure_else_a_plethysmogram():
    both = [signal("PLETH", "NU"), signal("ABP", "mmHg")]
    assert assign(both, ["PULSE"])[0].signal.name == "ABP"
    assert assign(both[:1], ["PULSE"])[0].signal.name == "PLETH"
    uncalibrated = [signal("PLETH", "NU"), signal("ABP", "adu")]
    assert assign(uncalibrated, ["PULSE"])[0].signal.name == "PLETH"
    assert [one.signal.name for one in assign(both, ["ABP", "PULSE"])] == ["ABP", "PLETH"]


@pytest.mark.parametrize(
    ("role", "unit", "factor"), [("ECG", "uV", 1e-3), ("ECG", "V", 1e3), ("ABP", "kPa", 7.50061683), ("ICP", "mmHg", 1)]
)
def test_units_come_with_their_factor(role, unit, factor):
    (found,) = assign([signal({"ECG": "II"}.get(role, role), unit)], [role])
    assert found.factor == pytest.approx(factor)
    assert found.unit == ROLES[role].unit


def test_an_unknown_unit_is_named_with_what_was_expected():
    with pytest.raises(UnusableRecording, match=r"^signal ABP is in mV; ABP expects mmHg or kPa\.$"):
        assign([signal("ABP", "mV")], ["ABP"])
    with pytest.raises(UnusableRecording, match=r"^signal SpO2 is in no unit; SPO2 expects %\.$"):
        assign([signal("SpO2", "")], ["SPO2"])
    (found,) = assign([signal("II", "adu"), signal("V", "mV")], ["ECG"])
    assert found.signal.name == "V"


def test_a_missing_role_is_named_with_what_is_there():
    there = [signal("II"), signal("PLETH", "NU"), signal("")]
    with pytest.raises(UnusableRecording, match=r"no ICP signal, only II, PLETH, one without a name\.$"):
        assign(there, ["ECG", "ICP"])
    with pytest.raises(UnusableRecording, match="no ABP or PLETH signal, only II"):
        assign(there[:1], ["PULSE"])
    with pytest.raises(UnusableRecording, match="only no signal"):
        assign([], ["ECG"])


def test_a_signal_too_slow_for_its_role_is_refused():
    with pytest.raises(UnusableRecording, match=r"signal II has 5 Hz; ECG expects 25 or more"):
        assign([signal("II", rate=5.0)], ["ECG"])
    assert assign([signal("SpO2", "%", 1.0)], ["SPO2"])[0].rests


@pytest.mark.parametrize("roles", [[], ["ECG", "ECG"], ["EEG"]])
def test_wrong_roles_are_the_callers_error(roles):
    with pytest.raises(ValueError, match=re.escape("roles")):
        assign([signal("II")], roles)


def test_a_channel_of_mixed_units_has_none():
    assert common_unit(["mmHg", "mmHg"]) == "mmHg"
    assert common_unit(["mmHg", "NU"]) == "NU"
