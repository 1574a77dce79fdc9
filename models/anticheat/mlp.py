"""A small network in numpy: two hidden layers, softmax, Adam. Whole and readable; what serves it is in gameedge.core.anticheat."""

from collections.abc import Callable, Iterator

import numpy as np

Array = np.ndarray
Tensors = dict[str, Array]


def begin(rng: np.random.Generator, sizes: tuple[int, int, int, int]) -> Tensors:
    """He-initialised weights of `inputs, hidden, hidden, classes`."""
    tensors = {}
    for k in range(3):
        tensors[f"w{k}"] = (rng.standard_normal((sizes[k], sizes[k + 1])) * np.sqrt(2.0 / sizes[k])).astype(np.float32)
        tensors[f"b{k}"] = np.zeros(sizes[k + 1], np.float32)
    tensors["w2"] *= 0.1
    return tensors


def logits(t: Tensors, x: Array) -> Array:
    h = np.maximum(x @ t["w0"] + t["b0"], 0)
    h = np.maximum(h @ t["w1"] + t["b1"], 0)
    return h @ t["w2"] + t["b2"]


def standard(x: Array) -> tuple[Array, Array]:
    """Mean and scale of the columns, float32: (x - mean) * scale has unit spread."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    return mean.astype(np.float32), (1.0 / np.maximum(spread, 1e-3)).astype(np.float32)


def shares(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _backward(t: Tensors, x: Array, y: Array, w: Array, drop: Array) -> tuple[float, Tensors]:
    a0 = x @ t["w0"] + t["b0"]
    h0 = np.maximum(a0, 0) * drop
    a1 = h0 @ t["w1"] + t["b1"]
    h1 = np.maximum(a1, 0)
    p = shares(h1 @ t["w2"] + t["b2"])
    rows = np.arange(len(y))
    loss = float(-(w * np.log(p[rows, y] + 1e-9)).sum() / w.sum())
    p[rows, y] -= 1.0
    d2 = p * (w / w.sum())[:, None]
    d1 = (d2 @ t["w2"].T) * (a1 > 0)
    d0 = (d1 @ t["w1"].T) * drop * (a0 > 0)
    grads = {"w2": h1.T @ d2, "b2": d2.sum(0), "w1": h0.T @ d1, "b1": d1.sum(0), "w0": x.T @ d0, "b0": d0.sum(0)}
    return loss, grads


def fit(
    t: Tensors,
    batches: Callable[[int], Iterator[tuple[Array, Array, Array]]],
    epochs: int,
    rng: np.random.Generator,
    *,
    rate: float = 2e-3,
    decay: float = 1e-4,
    dropout: float = 0.1,
) -> None:
    """Change `t` in place. batches(epoch) gives (x float32 [B, F], label int [B], weight float32 [B])."""
    m = {k: np.zeros_like(v) for k, v in t.items()}
    v = {k: np.zeros_like(v) for k, v in t.items()}
    step = 0
    for epoch in range(epochs):
        now = rate * 0.5 * (1 + np.cos(np.pi * epoch / epochs)) + 1e-5
        losses = []
        for x, y, w in batches(epoch):
            drop = (rng.random((len(x), t["w0"].shape[1]), np.float32) > dropout).astype(np.float32) / np.float32(1 - dropout)
            loss, grads = _backward(t, x, y, w, drop)
            losses.append(loss)
            step += 1
            for k, g in grads.items():
                m[k] += 0.1 * (g - m[k])
                v[k] += 0.001 * (g * g - v[k])
                change = (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)
                t[k] -= np.float32(now) * (change + (decay * t[k] if k[0] == "w" else 0)).astype(np.float32)
        if epoch % 5 == 4 or epoch == epochs - 1:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
