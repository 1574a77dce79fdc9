"""Train the streaming unit of `core.anticheat.stream` in numpy: backpropagation through the ticks of a block, Adam.

The gates are rational (x / (1 + |x|)), so their derivatives are squares of what is at hand. Two losses: the class of a block from the
mean of its cells, and, for people alone, the next step from each cell: what a person would do next, which a machine does not.
"""

import numpy as np

from gameedge.core.anticheat import aim
from gameedge.core.anticheat.stream import STREAM_CLIP, STREAM_COUNT, STREAM_HIDDEN, STREAM_TICKS, Unit, shapes
from models.anticheat import mlp
from models.anticheat.data import Blocks

SIDES = np.array([2, 4, 7])  # figures that change their sign in a mirror
NEXT = 0.02  # weight of the next step's loss
NEXT_CUT = 25.0
Tensors = dict[str, np.ndarray]


def blank() -> Tensors:
    return {name: np.zeros([size or 0 for size in shape], np.float32) for name, shape in shapes(len(aim.CLASSES)).items()}


def figures_of(blocks: Blocks) -> np.ndarray:
    """The figures of every tick, float32 [N, STREAM_TICKS, STREAM_COUNT], 0 after a block's end."""
    unit = Unit(blank())
    out = np.zeros((len(blocks.kind), STREAM_TICKS, STREAM_COUNT), np.float32)
    for i, (rows, n, rtt, jitter) in enumerate(zip(blocks.rows, blocks.ticks, blocks.rtt_ms, blocks.jitter_ms, strict=True)):
        out[i, :n] = unit.replay(rows[:n], 0.5, rtt, jitter)[1]
    return out


def begin(rng: np.random.Generator) -> Tensors:
    t, size = blank(), STREAM_HIDDEN
    t["s_wx"] = (rng.standard_normal(t["s_wx"].shape) * np.sqrt(1.0 / STREAM_COUNT)).astype(np.float32)
    t["s_wh"] = (rng.standard_normal(t["s_wh"].shape) * np.sqrt(1.0 / size)).astype(np.float32)
    t["s_wo"] = (rng.standard_normal(t["s_wo"].shape) * 0.1).astype(np.float32)
    t["s_wn"] = (rng.standard_normal(t["s_wn"].shape) * 0.1).astype(np.float32)
    t["s_b"][:size] = -1.0  # cells keep at first
    return t


def _run(t: Tensors, x: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
    """Cells after every tick, [T + 1, B, H], and what the way back needs. x: [T, B, F], standardised."""
    size = STREAM_HIDDEN
    gates = x @ t["s_wx"] + t["s_b"]
    h = np.zeros((x.shape[0] + 1, x.shape[1], size), np.float32)
    kept = []
    for k in range(x.shape[0]):
        a = gates[k, :, : 2 * size] + h[k] @ t["s_wh"][:, : 2 * size]
        s = a / (1.0 + np.abs(a))
        z, r = 0.5 + 0.5 * s[:, :size], 0.5 + 0.5 * s[:, size:]
        rh = r * h[k]
        a = gates[k, :, 2 * size :] + rh @ t["s_wh"][:, 2 * size :]
        c = a / (1.0 + np.abs(a))
        h[k + 1] = h[k] + z * (c - h[k])
        kept.append((s, z, r, rh, c))
    return h, kept


def _gradients(t: Tensors, x: np.ndarray, raw: np.ndarray, ticks: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, Tensors]:
    size, steps = STREAM_HIDDEN, x.shape[0]
    h, kept = _run(t, x)
    within = (np.arange(steps)[:, None] < ticks[None]).astype(np.float32)  # [T, B]
    share = within / ticks[None].astype(np.float32)
    pooled = (h[1:] * share[..., None]).sum(axis=0)
    p = mlp.shares(pooled @ t["s_wo"] + t["s_bo"])
    at = np.arange(len(y))
    weight = (w / w.sum()).astype(np.float32)
    loss = float(-(weight * np.log(p[at, y] + 1e-9)).sum())
    p[at, y] -= 1.0
    d = (p * weight[:, None]).astype(np.float32)
    grads: Tensors = {"s_wo": pooled.T @ d, "s_bo": d.sum(0)}
    dp = d @ t["s_wo"].T
    # The next step, people alone.
    guess = h[1:-1] @ t["s_wn"] + t["s_bn"]
    miss = guess - raw[1:, :, 1:3]
    cut = (miss * miss).sum(-1) < NEXT_CUT
    human = (y == aim.HUMAN).astype(np.float32) * within[1:] * cut
    dn = (miss * (human * (2.0 * NEXT / max(float(human.sum()), 1.0)))[..., None]).astype(np.float32)
    grads["s_wn"] = np.einsum("tbh,tbk->hk", h[1:-1], dn)
    grads["s_bn"] = dn.sum((0, 1))
    dg = np.empty((steps, x.shape[1], 3 * size), np.float32)
    dwh = np.zeros_like(t["s_wh"])
    dh = np.zeros((x.shape[1], size), np.float32)
    for k in range(steps - 1, -1, -1):
        dh += dp * share[k][:, None]
        if k < steps - 1:
            dh += dn[k] @ t["s_wn"].T
        s, z, r, rh, c = kept[k]
        dc = dh * z * (1.0 - np.abs(c)) ** 2
        drh = dc @ t["s_wh"][:, 2 * size :].T
        slope = 0.5 * (1.0 - np.abs(s)) ** 2
        dz = dh * (c - h[k]) * slope[:, :size]
        dr = drh * h[k] * slope[:, size:]
        dg[k, :, :size], dg[k, :, size : 2 * size], dg[k, :, 2 * size :] = dz, dr, dc
        dwh[:, : 2 * size] += h[k].T @ dg[k, :, : 2 * size]
        dwh[:, 2 * size :] += rh.T @ dc
        dh = dh * (1.0 - z) + drh * r + dg[k, :, : 2 * size] @ t["s_wh"][:, : 2 * size].T
    flat = dg.reshape(-1, 3 * size)
    grads |= {"s_wh": dwh, "s_wx": x.reshape(-1, x.shape[-1]).T @ flat, "s_b": flat.sum(0)}
    return loss, grads


def standard(x: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = x[np.arange(x.shape[1])[None] < ticks[:, None]]
    mean, scale = mlp.standard(rows[:: max(1, len(rows) // 400_000)])
    # In a mirror these are the other way round: no side is usual.
    mean[SIDES] = 0.0
    return np.round(mean, 4), np.round(scale, 4)


def fit(
    x: np.ndarray, ticks: np.ndarray, kind: np.ndarray, weight: np.ndarray, epochs: int, seed: int, start: Tensors | None = None
) -> Tensors:
    """The unit's tensors. x: figures_of; kind: int [N] into aim.CLASSES; weight: float32 [N]. start: go on from these."""
    rng = np.random.default_rng(seed)
    t = {name: tensor.copy() for name, tensor in start.items()} if start is not None else begin(rng)
    if start is None:
        t["s_mean"], t["s_scale"] = standard(x, ticks)
    learnt = [name for name in t if name not in ("s_mean", "s_scale")]
    m, v = ({name: np.zeros_like(t[name]) for name in learnt} for _ in range(2))
    batch, step = 256, 0
    total = epochs * (len(x) // batch)
    for epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for at in range(0, len(order) - batch + 1, batch):
            rows = order[at : at + batch]
            raw = x[rows].transpose(1, 0, 2).copy()
            raw[:, :, SIDES] *= rng.choice([-1.0, 1.0], batch).astype(np.float32)[None, :, None]
            given = np.clip((raw - t["s_mean"]) * t["s_scale"], -STREAM_CLIP, STREAM_CLIP).astype(np.float32)
            loss, grads = _gradients(t, given, raw, ticks[rows], kind[rows], weight[rows])
            losses.append(loss)
            rate = np.float32((0.004 if start is None else 0.001) * 0.5 * (1.0 + np.cos(np.pi * step / total)) + 2e-5)
            norm = np.sqrt(sum(float((g * g).sum()) for g in grads.values()))
            step += 1
            for name in learnt:
                g = grads[name] * np.float32(min(1.0, 1.0 / (norm + 1e-9)))
                m[name] += np.float32(0.1) * (g - m[name])
                v[name] += np.float32(0.001) * (g * g - v[name])
                change = m[name] / (1 - 0.9**step) / (np.sqrt(v[name] / (1 - 0.999**step)) + 1e-8)
                t[name] -= (rate * change).astype(np.float32)
        print(f"stream, epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    return {name: np.round(tensor, 4).astype(np.float32) for name, tensor in t.items()}


def block_shares(t: Tensors, x: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the classes, float64 [N, classes], and surprise of every block: in numpy, as the kernel but for the last bits."""
    out, surprise = np.empty((len(x), len(aim.CLASSES))), np.empty(len(x))
    for at in range(0, len(x), 1024):
        raw = x[at : at + 1024].transpose(1, 0, 2)
        n = ticks[at : at + 1024].astype(np.float32)
        h, _ = _run(t, np.clip((raw - t["s_mean"]) * t["s_scale"], -STREAM_CLIP, STREAM_CLIP).astype(np.float32))
        within = (np.arange(len(raw))[:, None] < n[None]).astype(np.float32)
        pooled = (h[1:] * (within / n)[..., None]).sum(axis=0)
        out[at : at + 1024] = mlp.shares((pooled @ t["s_wo"] + t["s_bo"]).astype(np.float64))
        miss = ((h[1:-1] @ t["s_wn"] + t["s_bn"] - raw[1:, :, 1:3]) ** 2).sum(-1)
        surprise[at : at + 1024] = (np.minimum(miss, NEXT_CUT) * within[1:]).sum(0) / np.maximum(n - 1.0, 1.0)
    return out, surprise


def scores(t: Tensors, x: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Log odds of a machine, float64 [N]."""
    p, _ = block_shares(t, x, ticks)
    return np.asarray(np.log(p[:, 1:].sum(1) + 1e-12) - np.log(p[:, 0] + 1e-12))
