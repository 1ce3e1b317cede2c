"""How the units of a version use their gates, and what its weights and cells look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd
from torch import Tensor

from xai.methods.gates import GATES, OPEN, SHUT, GateUse, gate_use
from xai.protocols import LSTMStack
from xai.quality.comparison import mean_table

from ..drawing.gates import LayerWeights, ShownUnits, gates_figure
from ..drawing.geometry import Geometry
from ..evaluating.judges import MEAN_OF_MEMBERS
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

UNTRAINED = 5
"""Freshly initialised networks per member, as what training starts from."""
SHOWN_UNITS = 4
STATES = ("open", "shut")
CELL = ("layer", "gate", "state")
TRAINED, FRESH = "trained", "untrained"

TEXT = """A gate counts as open at a step where it is above {open}, as shut where it is below {shut} (Karpathy et
al., 2015). The shares of time are averaged over a {kind}'s samples first, then over {kind}s, with 95 % intervals.
Each member is asked about samples that it never saw; units of different members are different units. Beside them stand
{untrained} networks of the same shape as they were before any training, on the same samples: their forget bias
of 1 keeps the forget gate near 0.73, so what they lack in saturation training has made.

The paper shows arbitrary weights and the cells of arbitrary units and calls both uninterpretable. Here the weights are
those of the first layer, the only one that reads the signal itself, and the units are the {units} of the last layer,
which the classes are read from, whose cells vary most over time on average over the samples. The sample is the first
one that is read rightly."""


def inspect(looked: Inspected) -> Finding:
    """Saturation of every gate, trained and untrained and by class, with the weights and cells of Figure 1."""
    uses = list(_uses(looked))
    gates = pd.concat([_gate_table(*use) for use in uses], ignore_index=True)
    units = pd.concat([_unit_table(*use) for use in uses], ignore_index=True)
    trained = units[units["network"] == TRAINED].drop(columns="network")
    means = subject_means(gates, ["network", *CELL])
    changes, classes = _changes(gates), _class_differences(gates, looked.classes)
    kind = looked.cohort.subject_kind
    return Finding(
        title="Gates, cells and weights",
        text=TEXT.format(open=OPEN, shut=SHUT, kind=kind, untrained=UNTRAINED, units=SHOWN_UNITS),
        verdicts=(
            *_saturation_words(means, kind),
            _change_words(changes, kind),
            _class_words(classes, kind),
            *_undefined_words(trained),
        ),
        figures={"gates": _drawn(looked, uses, units)},
        tables={
            "gate_saturation": trained,
            "gate_saturation_means": means,
            "gate_saturation_trained": changes,
            "gate_saturation_classes": classes,
        },
    )


Use = tuple[int, str, pd.DataFrame, list[GateUse]]
"""Member, trained or untrained, rows of the samples, and the use of the gates in every layer."""


def _uses(looked: Inspected) -> Iterator[Use]:
    """Each member, and untrained networks in its place, on the samples that it never saw."""
    for member in looked.members():
        rows = looked.some(member)
        if rows.empty:
            continue
        inputs = looked.inputs(rows)
        yield member, TRAINED, rows, gate_use(cast(LSTMStack, looked.network(member)), inputs)
        for seed in range(UNTRAINED):
            fresh = cast(LSTMStack, looked.untrained(member * UNTRAINED + seed))
            yield member, FRESH, rows, gate_use(fresh, inputs)


def _gate_table(member: int, network: str, rows: pd.DataFrame, layers: list[GateUse]) -> pd.DataFrame:
    """A row per sample, layer, gate and state: ``value``, the mean share over the layer's units."""
    tables = []
    for layer, use in enumerate(layers, start=1):
        for state, shares in zip(STATES, (use.open, use.shut), strict=True):
            for gate, values in zip(GATES, shares.nanmean(dim=2).T, strict=True):
                table = rows[["subject", "label"]].assign(value=values.double().numpy())
                tables.append(table.assign(network=network, member=member, layer=layer, gate=gate, state=state))
    return pd.concat(tables, ignore_index=True)


def _unit_table(member: int, network: str, rows: pd.DataFrame, layers: list[GateUse]) -> pd.DataFrame:
    """A row per unit and gate: shares of time open and shut, mean over subjects; samples left out as undefined."""
    tables = []
    for layer, use in enumerate(layers, start=1):
        found = {
            state: _over_subjects(shares, rows) for state, shares in zip(STATES, (use.open, use.shut), strict=True)
        }
        undefined = use.open.isnan().sum(dim=0).numpy()
        for position, gate in enumerate(GATES):
            shares_of_gate = {state: values[position] for state, values in found.items()}
            table = pd.DataFrame({**shares_of_gate, "undefined": undefined[position]})
            table.insert(0, "gate", gate)
            table.insert(0, "unit", np.arange(1, len(table) + 1))
            tables.append(table.assign(network=network, member=member, layer=layer))
    columns = ["member", "layer", "unit", "gate", *STATES, "undefined", "network"]
    return pd.concat(tables, ignore_index=True)[columns]


def _over_subjects(shares: Tensor, rows: pd.DataFrame) -> np.ndarray:
    """``(sample, gate, unit)`` to means ``(gate, unit)`` over subjects of the means over their samples."""
    flat = pd.DataFrame(shares.double().flatten(1).numpy())
    means = flat.groupby(rows["subject"].to_numpy()).mean().mean()
    return np.asarray(means).reshape(shares.shape[1:])


def _changes(gates: pd.DataFrame) -> pd.DataFrame:
    """Trained less untrained, paired by subject, for every layer, gate and state."""
    cells = gates.groupby(["network", "subject", *CELL], sort=True)["value"].mean().unstack(list(CELL))
    return _compared(cast(pd.DataFrame, cells.loc[TRAINED]), cast(pd.DataFrame, cells.loc[FRESH]))


def _class_differences(gates: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Each class less the mean of the subject's other classes, in trained networks.

    Undefined where fewer than 3 subjects have samples of several classes: it would be a difference between people.
    """
    trained = gates[gates["network"] == TRAINED]
    named = trained.assign(**{"class": [classes[label] for label in trained["label"]]})
    own = named.groupby(["subject", *CELL, "class"], sort=True)["value"].mean().unstack("class")
    count = own.count(axis=1)
    others = own.rsub(own.sum(axis=1), axis=0).div((count - 1).where(count > 1), axis=0)
    wide = [cast(pd.DataFrame, table.unstack(list(CELL))) for table in (own, others)]
    return _compared(*wide)


def _compared(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """First less second, paired by subject (rows), for each column; the columns' levels become the table's keys.

    ``shown``: 0 lies outside the interval even when that is widened for all comparisons (Bonferroni).
    """
    differences = (first - second).set_axis(range(first.shape[1]), axis=1)
    found = mean_table(differences).rename(columns={"mean": "difference"}).drop(columns="explainer")
    tests = max(1, int(found["ci_low"].notna().sum()))
    wide = mean_table(differences, level=1 - 0.05 / tests)
    shown = (wide["ci_low"] > 0) | (wide["ci_high"] < 0)
    return pd.concat([first.columns.to_frame(index=False), found.assign(shown=shown)], axis=1)


def _saturation_words(means: pd.DataFrame, kind: str) -> Iterator[str]:
    """How much of the time the gates of each layer are saturated, trained beside untrained."""
    layers = sorted(means["layer"].unique())
    for layer in layers:
        parts = []
        for gate in GATES:
            found = {
                (network, state): one_row(means, network=network, layer=layer, gate=gate, state=state)
                for network in (TRAINED, FRESH)
                for state in STATES
            }
            shares = [
                f"{state} {interval_text(found[TRAINED, state], percent=True)} "
                f"(untrained {found[FRESH, state]['mean']:.0%})".replace("%)", " %)")
                for state in STATES
            ]
            parts.append(f"{gate} gates {' and '.join(shares)}")
        where = f" of layer {layer}" if len(layers) > 1 else ""
        subjects = int(means["subjects"].max())
        yield f"Share of time, mean over the units{where} and {subjects} {kind}s: {'; '.join(parts)}."


def _change_words(changes: pd.DataFrame, kind: str) -> str:
    """Where training has changed saturation, the largest change with its interval."""
    known = changes[changes["ci_low"].notna()]
    if known.empty:
        return f"Too few {kind}s to compare trained with untrained gates."
    shown = known[known["shown"]]
    if shown.empty:
        return f"No change of saturation by training is shown in {len(known)} comparisons (Bonferroni)."
    row = shown.iloc[int(shown["difference"].abs().argmax())]
    return (
        f"Training changes the saturation in {len(shown)} of {len(known)} cases (layer, gate, open or shut; "
        f"Bonferroni), most in {row['gate']} gates of layer {row['layer']}, which are {row['state']} {_more(row)}."
    )


def _class_words(classes: pd.DataFrame, kind: str) -> str:
    """Where a class uses the gates otherwise than the subject's other classes."""
    known = classes[classes["ci_low"].notna()]
    if known.empty:
        return f"Classes are not compared: fewer than 3 {kind}s have samples of several classes."
    shown = known[known["shown"]]
    if shown.empty:
        return (
            f"No class is shown to use its gates otherwise than the {kind}'s other classes ({len(known)} comparisons, "
            f"Bonferroni)."
        )
    row = shown.iloc[int(shown["difference"].abs().argmax())]
    return (
        f"Classes differ in {len(shown)} of {len(known)} comparisons within {kind}s (Bonferroni), most {row['class']}, "
        f"where {row['gate']} gates of layer {row['layer']} are {row['state']} {_more(row)} than in the {kind}'s other "
        f"classes."
    )


def _undefined_words(units: pd.DataFrame) -> Iterator[str]:
    lost = units[units["undefined"] > 0]
    if len(lost):
        yield f"{len(lost)} of {len(units)} gates are undefined in some samples, which are left out of their means."


def _more(row: pd.Series) -> str:
    """``for 12.0 [10.1, 14.2] percentage points more of the time``, or less of it."""
    sign, word = (1, "more") if row["difference"] > 0 else (-1, "less")
    low, high = sorted(100 * sign * row[name] for name in ("ci_low", "ci_high"))
    return f"for {100 * sign * row['difference']:.1f} [{low:.1f}, {high:.1f}] percentage points {word} of the time"


def _drawn(looked: Inspected, uses: list[Use], units: pd.DataFrame) -> Drawn:
    """Figure 1 on the first sample that is read rightly, and the member that reads it."""
    right = looked.read_rightly()
    row = (right if len(right) else looked.samples).iloc[[0]]
    judge = int(row["member"].iloc[0])
    member = looked.members()[0] if judge == MEAN_OF_MEMBERS else judge
    use = next(layers for number, network, _, layers in uses if (number, network) == (member, TRAINED))
    chosen = use[-1].cell_variance.mean(dim=0).nan_to_num(-1.0).argsort(descending=True, stable=True)[:SHOWN_UNITS]
    layers = cast(LSTMStack, looked.network(member)).trace(looked.inputs(row))
    shown = ShownUnits(
        layer=len(layers),
        numbers=(chosen + 1).tolist(),
        cell=layers[-1].cell[0][:, chosen].numpy(),
        hidden=layers[-1].hidden[0][:, chosen].numpy(),
    )
    weights = LayerWeights(1, layers[0].weight_input.numpy(), layers[0].weight_hidden.numpy())
    name = looked.classes[int(row["label"].iloc[0])]
    title = f"Weights of member {member}, and its units reading a sample of class {name}"
    figure = gates_figure(Geometry.of(looked.cohort), looked.signals(row)[0], weights, shown, units, title=title)
    return Drawn(_caption(len(layers), len(right) > 0), figure)


def _caption(layers: int, right: bool) -> str:
    sample = "a sample that is read rightly" if right else "a sample (none is read rightly)"
    return (
        f"Left: input weights (strips) and recurrent weights (squares) of layer 1 of {layers}, a block per gate. "
        f"Right: {sample}, with the cells and outputs of the {SHOWN_UNITS} units of the last layer whose cells vary "
        "most over time on average over the samples. Below: each unit's shares of time with a gate open and shut, all "
        "members."
    )
