"""What the inspection of wavelets says: nothing where nothing was trained, and what was done where something was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.drawing import png_bytes
from tasks.inspections.finding import Finding
from tasks.inspections.inspected import Inspected
from tasks.inspections.wavelet_match import (
    BEYOND,
    MEASURES,
    UNTRAINED,
    WAVELET,
    _groups,
    _per_class,
    _tests,
    _training_words,
    inspect,
)
from tests.tasks.inspections.inspecting import inspected, written_cohort

CLASSES = ("first", "second")


def looked_at(
    folder: Path,
    *,
    subjects: int = 8,
    hidden: tuple[int, ...] = (6,),
    channels: int = 1,
    image: tuple[int, int] | None = None,
    steps: int = 48,
) -> Inspected:
    """Two classes, 32 samples of smoothed noise; members are untrained."""
    random = np.random.default_rng(0)
    signals = random.standard_normal((32, channels, steps + 4))
    smooth = sum(signals[:, :, shift : shift + steps] for shift in range(5)).astype(np.float32)
    cohort = written_cohort(
        folder / "cohort", smooth, np.arange(32) // 16, classes=CLASSES, image=image, subjects=subjects
    )
    return inspected(folder / "version", cohort, hidden=hidden, per_class=8)


def roughen(looked: Inspected) -> None:
    """Weights as a long training leaves them: units jump between extremes and smooth no more."""
    with torch.no_grad():
        for member in looked.bundle.members:
            for layer in member.layers:
                layer.weight_ih_l0.mul_(8)
                layer.weight_hh_l0.mul_(8)


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    made = looked_at(tmp_path_factory.mktemp("wavelets"), hidden=(6, 5))
    with torch.no_grad():
        # Unit 3 of the first layer of member 1 is constant: its output gate multiplies a cell that stays at 0.
        made.bundle.members[1].layers[0].weight_ih_l0[[2, 14]] = 0
        made.bundle.members[1].layers[0].weight_hh_l0[[2, 14]] = 0
    return made


@pytest.fixture(scope="module")
def finding(looked: Inspected) -> Finding:
    return inspect(looked)


def test_every_unit_is_ranked_by_its_held_out_match(finding: Finding) -> None:
    table = finding.tables["wavelet_match"]
    assert len(table) == 2 * (6 + 5)
    assert table["rank"].tolist() == list(range(1, 23))
    known = table["correlation"].dropna()
    assert known.is_monotonic_decreasing
    assert known.between(-1, 1).all()
    assert set(table["part"]) <= {"detail", "approximation", "continuous", ""}
    assert table["lag"].abs().max() <= 6
    assert not table.loc[table["rank"] < 22, "input_correlation"].isna().any()
    layers = table.groupby(["member", "layer"])[["null_mean", "null_95"]].nunique()
    assert (layers == 1).all().all()
    assert (table["null_mean"] < table["null_95"]).all()


def test_a_constant_unit_is_undefined_last_and_counted(finding: Finding) -> None:
    last = finding.tables["wavelet_match"].iloc[-1]
    assert (last["member"], last["layer"], last["unit"]) == (1, 1, 3)
    assert (last["wavelet"], np.isnan(last["correlation"]), np.isnan(last["sign"])) == ("", True, True)
    assert finding.tables["wavelet_match"]["correlation"].isna().sum() == 1
    assert "1 of 22 trained units have no defined match, because they are constant." in finding.verdicts


def test_networks_that_were_never_trained_show_no_effect_of_training(finding: Finding) -> None:
    tests = finding.tables["wavelet_match_tests"]
    assert tests["measure"].tolist() == list(MEASURES)
    assert (tests["networks"] == UNTRAINED + 1).all()
    assert tests["rank"].between(1, UNTRAINED + 1).all()
    assert (tests["subjects"] == 8).all()
    assert finding.verdicts[0].startswith("Training is not shown to change")
    networks = finding.tables["wavelet_match_networks"]
    assert networks["network"].value_counts().to_dict() == {"untrained": UNTRAINED, "trained": 1}
    assert networks[WAVELET].nunique() == UNTRAINED + 1
    trained = networks.loc[networks["network"] == "trained", WAVELET].item()
    assert tests["trained"][0] == pytest.approx(trained)


def test_units_that_have_grown_rough_are_less_like_wavelets(tmp_path: Path) -> None:
    looked = looked_at(tmp_path)
    roughen(looked)
    finding = inspect(looked)
    row = finding.tables["wavelet_match_tests"].iloc[0]
    assert row["ci_high"] < 0
    assert (row["rank"], row["rank_p"]) == (UNTRAINED + 1, pytest.approx(1 / (UNTRAINED + 1)))
    assert finding.verdicts[0].startswith("Training makes units less like wavelets")


@pytest.mark.parametrize(("gain", "rank", "p"), [(0.3, 1, 1 / 21), (-0.3, 21, 1 / 21), (0.0, 11, 11 / 21)])
def test_ranks_and_differences_are_those_of_the_numbers(gain: float, rank: int, p: float) -> None:
    """Rival networks lie 0.01 apart around 0.5; subjects differ by much more than networks."""
    rows = []
    for subject in range(8):
        for rival in range(UNTRAINED + 1):
            value = 0.5 + gain if rival == 0 else 0.5 + 0.01 * (rival - 10.5)
            rows.append(
                dict.fromkeys(MEASURES, value + 0.02 * subject)
                | {"subject": subject, "member": subject % 2, "rival": rival}
                | {"network": "untrained" if rival else "trained"}
            )
    found = _tests(pd.DataFrame(rows)).set_index("measure").loc[WAVELET]
    assert found["difference"] == pytest.approx(gain, abs=1e-9)
    assert (found["rank"], found["rank_p"]) == (rank, pytest.approx(p))
    assert found["subjects"] == 8


@pytest.mark.parametrize(
    ("p", "rank_p", "difference", "says"),
    [
        (0.001, 0.04, 0.1, "makes units more like"),
        (0.001, 0.04, -0.1, "makes units less like"),
        (0.001, 0.06, 0.1, "is not shown"),
        (0.2, 0.04, 0.1, "is not shown"),
    ],
)
def test_training_matters_only_where_both_tests_say_so(p: float, rank_p: float, difference: float, says: str) -> None:
    row = {"trained": 0.6, "untrained": 0.5, "difference": difference, "ci_low": difference - 0.01}
    row |= {"ci_high": difference + 0.01, "p": p, "rank_p": rank_p, "rank": 1, "networks": 21, "subjects": 9}
    assert says in _training_words(pd.DataFrame([row]), "subject")


def test_the_paired_difference_is_of_means_over_subjects(finding: Finding, looked: Inspected) -> None:
    tests = finding.tables["wavelet_match_tests"].set_index("measure")
    assert tests.loc[WAVELET, "difference"] == pytest.approx(
        tests.loc[WAVELET, "trained"] - tests.loc[WAVELET, "untrained"]
    )
    beyond = tests.loc[WAVELET, "trained"] - tests.loc["input", "trained"]
    assert tests.loc[BEYOND, "trained"] == pytest.approx(beyond, abs=1e-9)


def test_two_subjects_are_too_few_to_say(tmp_path: Path) -> None:
    finding = inspect(looked_at(tmp_path, subjects=2))
    assert finding.verdicts[0].startswith("Too few subjects to say")
    assert finding.tables["wavelet_match"]["correlation"].isna().all()
    assert "No unit has a defined match." in finding.verdicts
    assert len(png_bytes(finding.figures["wavelet-match"].still)) > 10_000


@pytest.mark.parametrize(
    ("channels", "image", "hidden", "steps"), [(3, None, (6,), 100), (1, (8, 8), (5, 4), 64), (1, None, (7,), 48)]
)
def test_the_figure_shows_the_top_of_the_table(
    tmp_path: Path, channels: int, image: tuple[int, int] | None, hidden: tuple[int, ...], steps: int
) -> None:
    looked = looked_at(tmp_path, channels=channels, image=image, hidden=hidden, steps=steps)
    finding = inspect(looked)
    table = finding.tables["wavelet_match"]
    figure = finding.figures["wavelet-match"].still
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    for _, row in table[table["member"] == 0].head(2).iterrows():
        assert any(text.startswith(row["wavelet"]) for text in written)
        assert any(
            text.startswith(f"unit {row['unit']}") and f"r = {row['correlation']:.2f}" in text for text in written
        )
    if channels > 1:
        assert set(table["channel"]) <= set(looked.cohort.channels)
        assert any("of channel" in text for text in written)
    if image:
        assert figure.axes[0].images[0].get_array().shape == image
    assert len(png_bytes(figure)) > 10_000


def test_the_units_drawn_are_the_networks_own(looked: Inspected, finding: Finding) -> None:
    table = finding.tables["wavelet_match"]
    top = table[table["member"] == 0].iloc[0]
    drawn = {
        tuple(np.round(line.get_ydata(), 5))
        for axes in finding.figures["wavelet-match"].still.axes
        for line in axes.lines
        if len(line.get_ydata()) == 48
    }
    rows = looked.some(0)
    with torch.inference_mode():
        right = rows[looked.network(0)(looked.inputs(rows)).argmax(1).numpy() == rows["label"].to_numpy()]
        first = right.groupby("label").head(1).sort_values("label")
        hidden = looked.network(0).trace(looked.inputs(first))[top["layer"] - 1].hidden[:, :, top["unit"] - 1]
    for values in hidden.numpy():
        assert tuple(np.round(values, 5)) in drawn


def test_every_member_has_untrained_rivals_of_its_own(looked: Inspected) -> None:
    seeds = [[seed for group in _groups(looked, member) for seed, _ in group] for member in looked.members()]
    assert [found[0] for found in seeds] == [None, None]
    assert len({seed for found in seeds for seed in found[1:]}) == 2 * UNTRAINED


def test_samples_are_cut_to_what_can_be_afforded(looked: Inspected) -> None:
    assert _per_class(looked, 85) == looked.per_class
    assert _per_class(looked, 10**9) == 1


def test_the_same_version_gives_the_same_finding(looked: Inspected, finding: Finding) -> None:
    again = inspect(looked)
    assert again.verdicts == finding.verdicts
    for name, table in finding.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
