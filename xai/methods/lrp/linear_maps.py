"""Linear layers as maps whose weights can be exchanged: linear, convolution, transposed convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSE: tuple[Callable[..., Tensor], ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)


@dataclass(frozen=True)
class Weights:
    """The weights and the bias of a layer, and what all kinds of maps do with them."""

    weight: Tensor
    bias: Tensor

    @cached_property
    def above(self) -> Tensor:
        """As `LinearMap.above`."""
        return self.weight.clamp(min=0)

    @cached_property
    def below(self) -> Tensor:
        """As `LinearMap.below`."""
        return self.weight.clamp(max=0)

    def by_sample(self, values: Tensor) -> Tensor:
        """As `LinearMap.by_sample`."""
        return summed(values)


@dataclass(frozen=True)
class Dense(Weights):
    """A linear layer on the last axis: ``weight (output, input)``, ``bias (output,)``."""

    def apply(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `LinearMap.apply`."""
        return functional.linear(inputs, weight, bias)

    def adjoint(self, messages: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """As `LinearMap.adjoint`."""
        return messages @ weight


@dataclass(frozen=True)
class Grid:
    """How a convolution lays its kernel: one number per axis of the grid, and the number of groups."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    @property
    def axes(self) -> int:
        """Number of axes."""
        return len(self.stride)

    def convolve(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``inputs (sample, channel, *grid)`` convolved."""
        how = _CONVOLVE[self.axes - 1]
        if self.axes == 3 and _fits_onednn(inputs):
            settings = (self.padding, self.stride, self.dilation, self.groups)
            return torch.mkldnn_convolution(inputs, weight, flat(bias), *settings)
        return how(inputs, weight, flat(bias), self.stride, self.padding, self.dilation, self.groups)

    def transpose(self, inputs: Tensor, weight: Tensor, size: Sequence[int]) -> Tensor:
        """The transposed convolution of ``inputs (sample, channel, *grid)`` onto a grid of that ``size``."""
        short = [
            wanted - ((have - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1)
            for wanted, have, stride, pad, dilation, kernel in zip(
                size, inputs.shape[2:], self.stride, self.padding, self.dilation, weight.shape[2:], strict=True
            )
        ]
        mirrored = self._mirrored(weight)
        if self.axes == 3 and _fits_onednn(inputs) and mirrored is not None:
            return mirrored.convolve(inputs, weight.flip(2, 3, 4).transpose(0, 1))
        how = _TRANSPOSE[self.axes - 1]
        return how(inputs, weight, None, self.stride, self.padding, short, self.groups, self.dilation)

    def _mirrored(self, weight: Tensor) -> Grid | None:
        """The convolution by the mirrored kernel that the transposed one is; None where it is none."""
        padding = [
            dilation * (kernel - 1) - pad
            for dilation, kernel, pad in zip(self.dilation, weight.shape[2:], self.padding, strict=True)
        ]
        plain = set(self.stride) == {1} and self.groups == 1 and min(padding) >= 0
        return replace(self, padding=padding) if plain else None


@dataclass(frozen=True)
class Convolved(Weights):
    """A convolution: ``weight (output, input / groups, *kernel)``, ``bias (output, 1, ...)``."""

    grid: Grid

    def apply(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `LinearMap.apply`."""
        return self.grid.convolve(inputs, weight, bias)

    def adjoint(self, messages: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """As `LinearMap.adjoint`."""
        return self.grid.transpose(messages, weight, inputs.shape[2:])


@dataclass(frozen=True)
class TransposeConvolved(Weights):
    """A transposed convolution: ``weight (input, output / groups, *kernel)``, ``bias (output, 1, ...)``."""

    grid: Grid
    output_padding: Sequence[int]

    def apply(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `LinearMap.apply`."""
        how, grid = _TRANSPOSE[self.grid.axes - 1], self.grid
        settings = (grid.stride, grid.padding, self.output_padding, grid.groups, grid.dilation)
        return how(inputs, weight, flat(bias), *settings)

    def adjoint(self, messages: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """As `LinearMap.adjoint`."""
        return self.grid.convolve(messages, weight)


LayerMap = Dense | Convolved | TransposeConvolved


def map_of(layer: nn.Linear | Convolution | Transposed) -> LayerMap:
    """The map of a layer, detached. Raises ValueError for padding other than zeros, equal on both sides."""
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        return Dense(weight, _bias(layer.bias, layer.out_features, weight))
    bias = _bias(layer.bias, layer.out_channels, weight).view(-1, *[1] * (weight.dim() - 2))
    grid = Grid(layer.stride, _padding(layer), layer.dilation, layer.groups)
    if isinstance(layer, Transposed):
        return TransposeConvolved(weight, bias, grid, layer.output_padding)  # type: ignore[arg-type]
    return Convolved(weight, bias, grid)


def _fits_onednn(inputs: Tensor) -> bool:
    """Whether oneDNN can convolve volumes: PyTorch leaves single ones to a form that is up to 100 times slower."""
    return inputs.device.type == "cpu" and inputs.dtype == torch.float32 and torch.backends.mkldnn.is_available()


def flat(bias: Tensor | None) -> Tensor | None:
    """A bias as layers want it."""
    return None if bias is None else bias.flatten()


def summed(values: Tensor) -> Tensor:
    """Sums ``(row, sample)`` in float64 of ``values (row, sample, ...)``."""
    return values.flatten(2).sum(2, dtype=torch.float64) if values.dim() > 2 else values.double()


def _bias(bias: Tensor | None, outputs: int, weight: Tensor) -> Tensor:
    return weight.new_zeros(outputs) if bias is None else bias.detach()


def _padding(layer: Convolution | Transposed) -> Sequence[int]:
    if layer.padding_mode != "zeros":
        raise ValueError(f"padding_mode is {layer.padding_mode!r}; LRP supports 'zeros'.")
    if not isinstance(layer.padding, str):
        return layer.padding
    whole = [dilation * (kernel - 1) for dilation, kernel in zip(layer.dilation, layer.kernel_size, strict=True)]
    if layer.padding == "valid":
        return [0] * len(whole)
    if any(width % 2 for width in whole):
        raise ValueError("padding is 'same' with an even kernel; LRP supports padding equal on both sides.")
    return [width // 2 for width in whole]
