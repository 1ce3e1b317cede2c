"""The residual unit of Murugesan et al. (2018): two convolutions of 15 steps, pre-activated, beside a shortcut."""

from __future__ import annotations

from torch import Tensor, nn

KERNEL = 15
"""Steps of every convolution: odd, so that padding keeps the length; the paper prints 16, its code has 15."""


class ResidualUnit(nn.Module):
    """``(sample, entering, time)`` to ``(sample, leaving, time)``, or half the time, rounded down, where it pools.

    The branch ``body``: batch norm, ReLU, dropout, convolution, twice, then the pool. Where the inputs come activated
    already, ``activated``, its first three layers are left out. The branch ``shortcut``: the pool, and a convolution
    of one step where the number of filters changes. Their sum leaves.
    """

    joined = False

    def __init__(self, entering: int, leaving: int, dropout: float, pools: bool, activated: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *([] if activated else _activation(entering, dropout)),
            nn.Conv1d(entering, leaving, KERNEL, padding=KERNEL // 2),
            *_activation(leaving, dropout),
            nn.Conv1d(leaving, leaving, KERNEL, padding=KERNEL // 2),
            *([nn.MaxPool1d(2)] if pools else []),
        )
        self.shortcut = nn.Sequential(
            *([nn.MaxPool1d(2)] if pools else []),
            *([nn.Conv1d(entering, leaving, 1)] if entering != leaving else []),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The sum of both branches."""
        return self.body(inputs) + self.shortcut(inputs)

    def branches(self) -> tuple[nn.Module, ...]:
        """What is added up."""
        return self.body, self.shortcut


def _activation(filters: int, dropout: float) -> list[nn.Module]:
    return [nn.BatchNorm1d(filters), nn.ReLU(), nn.Dropout(dropout)]
