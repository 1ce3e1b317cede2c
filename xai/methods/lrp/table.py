"""The table of the calls that LRP knows: which operation stands for a layer, a function or a method."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .graph import Operation
from .operations import Copying, Identity, Passing, Summing, Winning

PASSING, IDENTITY, COPYING, PADDING, SUMMING = Passing(), Identity(), Copying(), Copying(constants=True), Summing()


def _each(home: Any, names: str, what: Operation) -> dict[Any, Operation]:
    return {getattr(home, name): what for name in names.split()}


def _named(names: str, what: Operation) -> dict[str, Operation]:
    return dict.fromkeys(names.split(), what)


LAYERS: Mapping[type[nn.Module], Operation] = {
    **_each(nn, "ReLU ReLU6 LeakyReLU PReLU ELU CELU SELU GELU SiLU Mish Softplus Softsign", PASSING),
    **_each(nn, "Tanh Sigmoid LogSigmoid Hardtanh Hardswish Hardsigmoid", PASSING),
    **_each(nn, "BatchNorm1d BatchNorm2d BatchNorm3d", PASSING),
    **_each(nn, "Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout", IDENTITY),
    **_each(nn, "Flatten Unflatten PixelShuffle PixelUnshuffle ChannelShuffle UpsamplingNearest2d", COPYING),
    **_each(nn, "ReflectionPad1d ReflectionPad2d ReflectionPad3d", COPYING),
    **_each(nn, "ReplicationPad1d ReplicationPad2d ReplicationPad3d", COPYING),
    **_each(nn, "ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d ConstantPad2d ConstantPad3d", PADDING),
    **_each(nn, "AvgPool1d AvgPool2d AvgPool3d UpsamplingBilinear2d", SUMMING),
    **_each(nn, "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d", SUMMING),
}
"""By the type of a layer. Not here: linear maps have weights, max pools and upsampling depend on their settings."""

FUNCTIONS: Mapping[Any, Operation] = {
    **_each(torch, "relu relu_ tanh sigmoid mul div neg clone", PASSING),
    **_each(functional, "relu relu6 leaky_relu prelu elu celu selu gelu silu mish softplus softsign", PASSING),
    **_each(functional, "tanh sigmoid logsigmoid hardtanh hardswish hardsigmoid", PASSING),
    **_each(operator, "mul truediv neg", PASSING),
    **_each(functional, "dropout dropout1d dropout2d dropout3d alpha_dropout", IDENTITY),
    **_each(torch, "cat concat stack flatten reshape permute transpose squeeze unsqueeze movedim flip roll", COPYING),
    **_each(torch, "narrow chunk split tensor_split unbind max amax", COPYING),
    **_each(functional, "max_pool1d max_pool2d max_pool3d", COPYING),
    **_each(functional, "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", COPYING),
    **{operator.getitem: COPYING, getattr: COPYING, functional.pad: PADDING},
    **_each(operator, "add iadd sub isub", SUMMING),
    **_each(torch, "add sub sum mean", SUMMING),
    **_each(functional, "avg_pool1d avg_pool2d avg_pool3d", SUMMING),
    **_each(functional, "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", SUMMING),
}
"""By the function called; `torch.nn.functional.interpolate` depends on its mode and is not here."""

METHODS: Mapping[str, Operation] = {
    **_named("relu relu_ tanh sigmoid mul mul_ div div_ neg contiguous clone to float double", PASSING),
    **_named("view reshape flatten unflatten permute transpose squeeze unsqueeze movedim", COPYING),
    **_named("flip roll narrow repeat repeat_interleave expand amax max", COPYING),
    **_named("chunk split tensor_split unbind", COPYING),
    **_named("add add_ sub sub_ sum mean", SUMMING),
}
"""By the name of a method of tensors."""


MaxPool = nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d
AdaptiveMaxPool = nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d

_MAX_POOLS = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_ADAPTIVE_MAX_POOLS = (functional.adaptive_max_pool1d, functional.adaptive_max_pool2d, functional.adaptive_max_pool3d)


def operation_of(function: Callable[..., Any] | str, keywords: Mapping[str, Any]) -> Operation | None:
    """The operation of a layer without weights, of a function or of a method's name; None where LRP knows none."""
    if isinstance(function, str):
        return METHODS.get(function)
    if isinstance(function, MaxPool | AdaptiveMaxPool):
        return _max_pool(function)
    if isinstance(function, nn.Upsample):
        return _upsampling(function.mode)
    if isinstance(function, nn.Module):
        return LAYERS.get(type(function))
    if function is functional.interpolate:
        return _upsampling(keywords.get("mode", "nearest"))
    return FUNCTIONS.get(function)


def _max_pool(layer: MaxPool | AdaptiveMaxPool) -> Operation:
    """The winner takes all; a layer that returns its winners beside the maxima copies, as all that comes in pieces."""
    if layer.return_indices:
        return COPYING
    axes = int(type(layer).__name__[-2])
    if isinstance(layer, AdaptiveMaxPool):
        return Winning(partial(_ADAPTIVE_MAX_POOLS[axes - 1], output_size=layer.output_size, return_indices=True))
    settings = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
    return Winning(partial(_MAX_POOLS[axes - 1], **settings, return_indices=True))


def _upsampling(mode: str) -> Operation:
    """Nearest modes copy, all others add up with fixed weights."""
    return COPYING if mode.startswith("nearest") else SUMMING
