"""The network of `score-aim` in numpy, from its tensors: convolutions along the path beside a layer over the figures, then two layers.

channels [N, T, CHANNELS] -> conv 5 -> + conv 3 -> conv 4 of stride 2 -> + conv 3 -> + conv 3 -> one layer; figures
[N, F] -> one layer; both -> a layer -> log odds of the classes, weighed. ReLU throughout. train_mouse.py trains the same in torch.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from models.anticheat import mouse, paste

Array = np.ndarray
Tensors = Mapping[str, Array]
CLASSES: Final = ("human", *paste.FAMILIES, *paste.EXTRA)
WIDE, DEEP, FLAT, SIDE, TOP = 32, 48, 128, 160, 96
CLIP: Final = 6.0  # of standardised inputs


def shapes(hz: int) -> dict[str, tuple[int, ...]]:
    """Of each tensor; kernels are [taps * channels in, channels out]."""
    channels = mouse.CHANNELS
    length = mouse.samples_of(hz) // 2
    found: dict[str, tuple[int, ...]] = {"a": (5 * channels, WIDE), "b": (3 * WIDE, WIDE), "c": (4 * WIDE, DEEP), "d": (3 * DEEP, DEEP)}
    found["e"] = (3 * DEEP, DEEP)
    figures = mouse.figure_count(hz)
    found |= {"flat": (length * DEEP, FLAT), "side": (figures, SIDE), "top": (FLAT + SIDE, TOP), "out": (TOP, len(CLASSES))}
    tensors = {f"{name}.w": shape for name, shape in found.items()} | {f"{name}.b": shape[1:] for name, shape in found.items()}
    return tensors | {
        "channel_mean": (channels,),
        "channel_scale": (channels,),
        "mean": (figures,),
        "scale": (figures,),
        "weigh": (len(CLASSES) - 1,),
    }


def _conv(t: Tensors, name: str, x: Array, taps: int, stride: int = 1) -> Array:
    left = (taps - 1) // 2
    x = np.pad(x, ((0, 0), (left, taps - 1 - left if stride == 1 else 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, taps, axis=1)[:, ::stride]  # [N, T', channels, taps]
    n, length = windows.shape[:2]
    flat = windows.transpose(0, 1, 3, 2).reshape(n * length, -1)
    return (flat @ t[f"{name}.w"]).reshape(n, length, -1) + t[f"{name}.b"]


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def logits(t: Tensors, channels: Array, figures: Array) -> Array:
    """float32 [N, CLASSES]."""
    x = np.clip((channels - t["channel_mean"]) * t["channel_scale"], -CLIP, CLIP)
    f = np.clip((figures - t["mean"]) * t["scale"], -CLIP, CLIP)
    x = _relu(_conv(t, "a", x, 5))
    x = _relu(x + _conv(t, "b", x, 3))
    x = _relu(_conv(t, "c", x, 4, 2))
    x = _relu(x + _conv(t, "d", x, 3))
    x = _relu(x + _conv(t, "e", x, 3))
    h = [_relu(x.reshape(len(x), -1) @ t["flat.w"] + t["flat.b"]), _relu(f @ t["side.w"] + t["side.b"])]
    top = _relu(np.concatenate(h, axis=1) @ t["top.w"] + t["top.b"])
    return top @ t["out.w"] + t["out.b"]


def judge(t: Tensors, views: tuple[Array, Array]) -> Array:
    """Log odds of a machine, float32 [N], of what mouse.views gives: families weigh as `weigh` says."""
    z = logits(t, *views).astype(np.float64)
    machines = z[:, 1:] + np.log(t["weigh"].astype(np.float64))
    most = machines.max(axis=1)
    return (np.log(np.exp(machines - most[:, None]).sum(axis=1)) + most - z[:, 0]).astype(np.float32)
