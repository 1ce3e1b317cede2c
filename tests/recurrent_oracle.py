"""LRP through LSTM layers by the equations, one sample, one step and one unit at a time in float64."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from models.lstm import LSTMClassifier
from xai.methods.lrp import AlphaBeta, Epsilon, Gamma, Rule


@dataclass
class Naive:
    """Relevance of one sample by the equations of Arras et al. (2017), and what is kept by biases and stabilisers.

    With ``conserve`` bias and stabiliser are dealt out evenly over the contributions of an output, so that
    nothing is lost but what reaches the zero states before the first step, which ``lost`` holds.
    """

    model: LSTMClassifier
    rule: Rule
    conserve: bool = False
    bias: dict[str, float] = field(default_factory=dict)
    epsilon: dict[str, float] = field(default_factory=dict)
    lost: float = 0.0

    def share(self, layer: str, parts: list[float], bias: float, relevance: float, rule: Rule) -> list[float]:
        """Relevance of each contribution to one output."""
        up = sum(max(part, 0.0) for part in [*parts, bias])
        down = sum(min(part, 0.0) for part in [*parts, bias])
        total = up + down
        if isinstance(rule, Epsilon):
            stabiliser = rule.epsilon if total >= 0 else -rule.epsilon
            spread = (bias + stabiliser) / len(parts) if self.conserve else 0.0
            weights = [(part + spread) / (total + stabiliser) for part in parts]
            of_bias = 0.0 if self.conserve else bias / (total + stabiliser)
        elif isinstance(rule, AlphaBeta):
            top, bottom = up + 1e-6, down + (1e-6 if down >= 0 else -1e-6)
            weights = [rule.alpha * part / top if part > 0 else -rule.beta * part / bottom for part in parts]
            of_bias = rule.alpha * bias / top if bias > 0 else -rule.beta * bias / bottom
        else:
            assert isinstance(rule, Gamma)
            favoured = [(1 + rule.gamma) * part if (part > 0) == (total >= 0) else part for part in [*parts, bias]]
            whole = sum(favoured)
            *weights, of_bias = [part / (whole + (1e-6 if whole >= 0 else -1e-6)) for part in favoured]
        self.bias[layer] = self.bias.get(layer, 0.0) + of_bias * relevance
        kept = relevance * (1 - sum(weights) - of_bias)
        self.epsilon[layer] = self.epsilon.get(layer, 0.0) + kept
        return [weight * relevance for weight in weights]

    def attribute(self, inputs: np.ndarray, target: int) -> np.ndarray:
        """Relevance ``(channel, time)`` of ``inputs (channel, time)`` for the target's logit."""
        sequence, traces = inputs.T, []
        for layer in self.model.layers:
            traces.append(forward(layer, sequence))
            sequence = traces[-1]["hidden"]
        weight = self.model.head.weight[target].tolist()
        steps, units = sequence.shape
        parts = [weight[j] * sequence[t, j] / steps for t in range(steps) for j in range(units)]
        bias = self.model.head.bias[target].item()
        found = self.share("head", parts, bias, sum(parts) + bias, self.rule)
        relevance = np.array(found).reshape(steps, units)
        for number in range(len(traces), 0, -1):
            relevance = self.layer(f"lstm_{number}", traces[number - 1], relevance)
        return relevance.T

    def layer(self, name: str, trace: dict[str, np.ndarray], from_above: np.ndarray) -> np.ndarray:
        rule = self.rule if isinstance(self.rule, Epsilon) else Epsilon(1e-3)
        x, (steps, units) = trace["x"], trace["hidden"].shape
        found, of_cell, of_hidden = np.zeros_like(x), np.zeros(units), np.zeros(units)
        for t in range(steps - 1, -1, -1):
            cell_before = trace["cell"][t - 1] if t else np.zeros(units)
            hidden_before = trace["hidden"][t - 1] if t else np.zeros(units)
            earlier_cell, earlier_hidden = np.zeros(units), np.zeros(units)
            for j in range(units):
                relevance = of_cell[j] + of_hidden[j] + from_above[t, j]
                terms = [trace["f"][t, j] * cell_before[j], trace["i"][t, j] * trace["g"][t, j]]
                earlier_cell[j], of_candidate = self.share(name, terms, 0.0, relevance, rule)
                terms = [w * v for w, v in zip(trace["w_x"][j], x[t], strict=True)]
                terms += [w * v for w, v in zip(trace["w_h"][j], hidden_before, strict=True)]
                shares = self.share(name, terms, trace["b"][j], of_candidate, rule)
                found[t] += shares[: x.shape[1]]
                earlier_hidden += shares[x.shape[1] :]
            of_cell, of_hidden = earlier_cell, earlier_hidden
        self.lost += of_cell.sum() + of_hidden.sum()
        return found


def forward(layer: nn.LSTM, x: np.ndarray, number: int = 0) -> dict[str, np.ndarray]:
    """Gates, cells and outputs of one of its layers, unit by unit."""
    w_x, w_h, first, second = (weight.detach().numpy() for weight in layer.all_weights[number])
    bias, units = first + second, layer.hidden_size
    names = ("i", "f", "g", "o", "cell", "hidden")
    found = {name: np.zeros((len(x), units)) for name in names}
    for t in range(len(x)):
        for j in range(units):
            for place, name in enumerate(names[:4]):
                row = place * units + j
                total = float(w_x[row] @ x[t]) + bias[row]
                total += float(w_h[row] @ found["hidden"][t - 1]) if t else 0.0
                found[name][t, j] = np.tanh(total) if name == "g" else 1 / (1 + np.exp(-total))
            before = found["cell"][t - 1, j] if t else 0.0
            found["cell"][t, j] = found["f"][t, j] * before + found["i"][t, j] * found["g"][t, j]
            found["hidden"][t, j] = found["o"][t, j] * np.tanh(found["cell"][t, j])
    third = slice(2 * units, 3 * units)
    return {**found, "x": x, "w_x": w_x[third], "w_h": w_h[third], "b": bias[third]}
