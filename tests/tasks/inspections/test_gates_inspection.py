"""What the inspection of gates says: by unit and by subject, against untrained networks, within subjects by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.drawing import png_bytes
from tasks.inspections.gates import UNTRAINED, _uses, inspect
from tasks.inspections.inspected import Inspected
from tests.tasks.inspections.inspecting import inspected, written_cohort

CLASSES = ("first", "second")


def looked_at(
    folder: Path,
    *,
    subjects: int = 5,
    hidden: tuple[int, ...] = (6,),
    channels: int = 1,
    image: tuple[int, int] | None = None,
    steps: int = 48,
) -> Inspected:
    """Two classes, 24 samples; subjects have both classes where there are fewer subjects than samples."""
    random = np.random.default_rng(0)
    signals = random.standard_normal((24, channels, steps)).cumsum(axis=2).astype(np.float32)
    labels = np.arange(24) // 12
    cohort = written_cohort(folder / "cohort", signals, labels, classes=CLASSES, image=image, subjects=subjects)
    return inspected(folder / "version", cohort, hidden=hidden, per_class=8)


def saturate(looked: Inspected) -> None:
    """Weights as a long training leaves them: the gates of every member swing between open and shut."""
    with torch.no_grad():
        for member in looked.bundle.members:
            for layer in member.layers:
                layer.weight_ih_l0.mul_(8)
                layer.weight_hh_l0.mul_(8)


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    made = looked_at(tmp_path_factory.mktemp("gates"), hidden=(6, 5))
    saturate(made)
    return made


@pytest.fixture(scope="module")
def finding(looked: Inspected):
    return inspect(looked)


def test_every_unit_has_its_shares_of_time(finding) -> None:
    table = finding.tables["gate_saturation"]
    assert len(table) == 2 * (6 + 5) * 3
    assert list(table.columns) == ["member", "layer", "unit", "gate", "open", "shut", "undefined"]
    assert table[["open", "shut"]].min().min() >= 0
    assert (table["open"] + table["shut"]).max() <= 1
    assert table["open"].max() > 0.5
    assert table.groupby(["member", "layer", "gate"])["unit"].max().unstack(
        "layer"
    ).drop_duplicates().values.tolist() == [[6, 5]]


def test_a_unit_is_averaged_over_subjects_not_samples(looked: Inspected, finding) -> None:
    rows = looked.some(1)
    with torch.inference_mode():
        gate = looked.bundle.members[1].trace(looked.inputs(rows))[1].forget_gate[:, :, 3]
    shares = pd.Series((gate > 0.9).double().mean(dim=1).numpy(), index=rows["subject"].to_numpy())
    row = finding.tables["gate_saturation"].query("member == 1 and layer == 2 and unit == 4 and gate == 'forget'")
    assert row["open"].item() == pytest.approx(shares.groupby(level=0).mean().mean())
    assert row["open"].item() != pytest.approx(shares.mean())


def test_means_carry_intervals_over_subjects_and_the_untrained_stand_beside(finding) -> None:
    means = finding.tables["gate_saturation_means"]
    assert len(means) == 2 * 2 * 3 * 2
    assert set(means["network"]) == {"trained", "untrained"}
    assert (means["subjects"] == 5).all()
    assert ((means["ci_low"] <= means["mean"]) & (means["mean"] <= means["ci_high"])).all()
    assert means.loc[means["network"] == "untrained", "mean"].max() < 0.01


def test_training_that_saturates_is_seen_and_no_training_is_not(finding, tmp_path: Path) -> None:
    changed = finding.tables["gate_saturation_trained"]
    assert changed["shown"].sum() >= 6
    assert any("Training changes the saturation in" in verdict for verdict in finding.verdicts)
    untouched = inspect(looked_at(tmp_path))
    assert not untouched.tables["gate_saturation_trained"]["shown"].any()
    assert any(
        verdict.startswith("No change of saturation by training is shown in 6") for verdict in untouched.verdicts
    )


def test_classes_are_compared_within_subjects(looked: Inspected, finding) -> None:
    table = finding.tables["gate_saturation_classes"]
    assert len(table) == 2 * 2 * 3 * 2
    first = table[table["class"] == "first"].set_index(["layer", "gate", "state"])["difference"]
    second = table[table["class"] == "second"].set_index(["layer", "gate", "state"])["difference"]
    # With two classes the others of one are the other.
    np.testing.assert_allclose(first, -second.reindex(first.index))
    assert table["subjects"].min() == 5


def test_classes_of_different_people_are_not_compared(tmp_path: Path) -> None:
    finding = inspect(looked_at(tmp_path, subjects=24))
    assert finding.tables["gate_saturation_classes"]["difference"].isna().all()
    assert any(verdict.startswith("Classes are not compared") for verdict in finding.verdicts)


def test_undefined_gates_are_counted_and_left_out(tmp_path: Path) -> None:
    looked = looked_at(tmp_path)
    with torch.no_grad():
        looked.bundle.members[0].layers[0].weight_ih_l0[2] = torch.nan
    table = inspect(looked).tables["gate_saturation"]
    lost = table[table["undefined"] > 0]
    assert set(lost["member"]) == {0}
    assert lost[["open", "shut"]].isna().all().all()
    assert table.loc[table["member"] == 1, "open"].notna().all()


@pytest.mark.parametrize(
    ("channels", "image", "hidden", "steps"), [(3, None, (6,), 100), (1, (8, 8), (5, 4), 64), (1, None, (7,), 48)]
)
def test_the_figure_shows_weights_one_sample_and_every_gate(
    tmp_path: Path, channels: int, image: tuple[int, int] | None, hidden: tuple[int, ...], steps: int
) -> None:
    looked = looked_at(tmp_path, channels=channels, image=image, hidden=hidden, steps=steps)
    drawn = inspect(looked).figures["gates"]
    cells = drawn.still.axes
    strips = [axes.images[0].get_array() for axes in cells if axes.images]
    assert [strip.shape for strip in strips[:8]] == [(channels, hidden[0]), (hidden[0], hidden[0])] * 4
    units = slice(hidden[0], 2 * hidden[0])
    forget = [member.layers[0].weight_hh_l0[units].detach().numpy().T for member in looked.bundle.members]
    assert any(np.allclose(strips[3], weights) for weights in forget)
    for axes in cells[:8]:
        low, high = axes.images[0].get_clim()
        assert low == -high
    titles = [axes.get_title("left") for axes in cells]
    assert {"input gate", "forget gate", "candidate", "output gate", f"cell c of layer {len(hidden)}"} <= set(titles)
    assert sum(title == "forget gate" for title in titles) == 2
    assert len(png_bytes(drawn.still)) > 10_000


def test_the_units_shown_are_those_whose_cells_vary_most(looked: Inspected, finding) -> None:
    row = looked.read_rightly().iloc[[0]]
    member = int(row["member"].iloc[0])
    with torch.inference_mode():
        rows = looked.some(member)
        cells = looked.bundle.members[member].trace(looked.inputs(rows))[-1].cell
        shown = looked.bundle.members[member].trace(looked.inputs(row))[-1].cell[0]
    order = cells.var(dim=1, correction=0).mean(dim=0).argsort(descending=True)[:4]
    (panel,) = [axes for axes in finding.figures["gates"].still.axes if axes.get_title("left") == "cell c of layer 2"]
    lines = [line for line in panel.lines if line.get_label().startswith("unit")]
    assert [line.get_label() for line in lines] == [f"unit {int(unit) + 1}" for unit in order]
    np.testing.assert_allclose(lines[0].get_ydata(), shown[:, order[0]], rtol=1e-5)


def test_the_same_version_gives_the_same_finding(looked: Inspected, finding) -> None:
    again = inspect(looked)
    assert again.verdicts == finding.verdicts
    for name, table in finding.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_untrained_networks_differ_from_each_other(looked: Inspected) -> None:
    spreads = [layers[0].cell_variance.sum().item() for _, name, _, layers in _uses(looked) if name == "untrained"]
    assert len(set(spreads)) == 2 * UNTRAINED
