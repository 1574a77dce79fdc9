"""Train the network of `score-aim`: `python -m models.anticheat.train_mouse`. Needs torch and the recorded people (see real.py).

People 1 to 48 and machines pasted onto their paths; people 49 to 72 are never looked at here. One set a rate, in which each person's
clicks are several times, each time another way (hands.py), so that the network learns hands and not clicks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import safetensors.numpy

from gameedge.inference.artifacts import file_name
from models.anticheat import hands, mouse, mousenet, real, score
from models.anticheat.train import WEIGHTS

SEED = 20_261
STEPS = {20: 1_600, 30: 7_000}
BATCH = 512
RATE, DECAY, DROPOUT = 2e-3, 0.03, 0.2
HUMAN_TIMES, STOP_TIMES = 10, 2
EACH = {20: 9_000, 30: 18_000}  # machines of a family
HUMAN_PRIOR = 0.65
# How much a family counts in the loss, and then in the score: a snap is certain where it is one, a replay never.
COUNTS = {"snap": 3.0, "smooth": 1.5, "minjerk": 1.5, "wind": 1.5}
COUNTS_ELSE = 0.5
WEIGH = {"snap": 2.5, "smooth": 1.0, "minjerk": 1.0, "wind": 1.0, "replay": 0.2}
WEIGH_ELSE = 0.3


def dataset(hz: int, families: Sequence[str], rng: np.random.Generator, share: float = 1.0) -> tuple[hands.Views, np.ndarray]:
    """Channels (float16, to keep them all), figures and classes. share: of the set's size."""
    clicks, stops = real.clicks(real.TRAIN_USERS), real.stops(real.TRAIN_USERS)
    if clicks is None or stops is None:
        raise SystemExit(f"{real.FILE} is not there: the network of score-aim is trained on recorded people; set GAMEEDGE_DATA")
    parts: list[hands.Views] = []
    kinds: list[int] = []

    def add(kind: int, views: hands.Views) -> None:
        parts.append((views[0].astype(np.float16), views[1]))
        kinds.append(kind)

    times = max(1, round(HUMAN_TIMES * share * EACH[hz] / EACH[30]))
    for _ in range(times):
        add(0, hands.views(hands.humans(clicks, hz, rng, change=True), hz, rng))
    for _ in range(max(1, round(times * STOP_TIMES / HUMAN_TIMES))):
        add(0, hands.views(hands.humans(stops, hz, rng, change=True), hz, rng))
    for family in families:
        for _ in range(max(1, round(share * EACH[hz] / 4_500))):
            rows = clicks.take(rng.choice(len(clicks.user), 4_500))
            paths = hands.machines(family, rows, hz, rng, donors=clicks.path, change=True)
            add(mousenet.CLASSES.index(family), hands.views(paths, hz, rng))
    return hands.joined(parts), np.repeat(kinds, [len(part[1]) for part in parts])


def _module(hz: int) -> Any:
    """The network of mousenet.py in torch; names and order of its layers are the same."""
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            wide, deep, shape = mousenet.WIDE, mousenet.DEEP, mousenet.shapes(hz)
            self.a = nn.Conv1d(mouse.CHANNELS, wide, 5, padding=2)
            self.b = nn.Conv1d(wide, wide, 3, padding=1)
            self.c = nn.Conv1d(wide, deep, 4, stride=2, padding=1)
            self.d = nn.Conv1d(deep, deep, 3, padding=1)
            self.flat, self.side, self.top, self.out = (nn.Linear(*shape[f"{name}.w"]) for name in ("flat", "side", "top", "out"))
            self.drop = nn.Dropout(DROPOUT)

        def forward(self, x: Any, f: Any) -> Any:
            x = self.a(x.transpose(1, 2)).relu()
            x = (x + self.b(x)).relu()
            x = self.c(x).relu()
            x = (x + self.d(x)).relu()
            h = self.drop(_cat([self.flat(x.transpose(1, 2).flatten(1)).relu(), self.side(f).relu()]))
            return self.out(self.drop(self.top(h).relu()))

    return Net()


def _cat(parts: list[Any]) -> Any:
    import torch

    return torch.cat(parts, 1)


def fit(hz: int, families: Sequence[str] = mousenet.CLASSES[1:], steps: int | None = None, share: float = 1.0) -> dict[str, np.ndarray]:
    """The network's tensors as mousenet.shapes has them, and what is needed to standardise. families: those that training sees."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(SEED + hz)
    rng = np.random.default_rng(SEED + hz)
    steps = steps or STEPS[hz]
    (channels, figures), kind = dataset(hz, families, rng, share)
    sample = rng.choice(len(kind), min(len(kind), 20_000), replace=False)
    mean, scale = _standard(figures[sample])
    channel_mean, channel_scale = _standard(channels[sample].astype(np.float32).reshape(-1, mouse.CHANNELS))
    count = np.bincount(kind, minlength=len(mousenet.CLASSES))
    counts = np.array([COUNTS.get(name, COUNTS_ELSE) for name in mousenet.CLASSES])
    counts[0] = HUMAN_PRIOR / (1 - HUMAN_PRIOR) * (counts * count)[1:].sum() / count[0]
    weight = torch.tensor(counts, dtype=torch.float32)
    net = _module(hz)
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    order, at, losses = rng.permutation(len(kind)), 0, []
    for step in range(steps):
        if at + BATCH > len(order):
            order, at = rng.permutation(len(kind)), 0
        rows, at = order[at : at + BATCH], at + BATCH
        for group in adam.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 200) * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5
        x = np.clip((channels[rows].astype(np.float32) - channel_mean) * channel_scale, -mousenet.CLIP, mousenet.CLIP)
        f = np.clip((figures[rows] - mean) * scale, -mousenet.CLIP, mousenet.CLIP)
        loss = torch.nn.functional.cross_entropy(net(torch.from_numpy(x), torch.from_numpy(f)), torch.from_numpy(kind[rows]), weight=weight)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
        if step % 4 == 0:  # what is kept is a mean over the last steps
            fade = min(0.99, step / (step + 40))
            for name, value in net.state_dict().items():
                kept[name].mul_(fade).add_(value, alpha=1 - fade)
        if step % 1_000 == 999:
            print(f"{hz} Hz, step {step + 1} of {steps}: loss {np.mean(losses[-1000:]):.4f}", flush=True)
    found = _plain(kept) | {"mean": mean, "scale": scale, "channel_mean": channel_mean, "channel_scale": channel_scale}
    found["weigh"] = np.array([WEIGH.get(name, WEIGH_ELSE) for name in mousenet.CLASSES[1:]])
    return {name: np.round(tensor, 5).astype(np.float32) for name, tensor in found.items()}


def _standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(axis=0), 1.0 / np.maximum(x.std(axis=0), 1e-3)


def _plain(state: dict[str, Any]) -> dict[str, np.ndarray]:
    """torch's [out, in, taps] and [out, in] as [taps * in, out] and [in, out]."""
    out = {}
    for name, value in state.items():
        part, kind = name.split(".")
        tensor = value.numpy()
        out[f"{part}.{kind[0]}"] = tensor if kind == "bias" else tensor.T.reshape(-1, len(tensor))
    return out


def save(nets: dict[int, dict[str, np.ndarray]], out: Path) -> Path:
    tensors = {f"{name}_{hz}": np.ascontiguousarray(tensor) for hz, net in nets.items() for name, tensor in net.items()}
    metadata = {"kind": score.KIND, "version": score.VERSION, "classes": ",".join(mousenet.CLASSES), "seed": str(SEED)}
    data = safetensors.numpy.save(tensors, metadata)
    path = out / file_name(score.NAME, data)
    for old in out.glob(f"{score.NAME}-*.safetensors"):
        if old != path:
            old.unlink()
    path.write_bytes(data)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder; older weights of the same name are removed")
    out = parser.parse_args().out
    try:
        import torch  # noqa: F401
    except ImportError:
        raise SystemExit("training needs torch: python -m pip install torch==2.13.0") from None
    began, nets = perf_counter(), {}
    for hz in mouse.NETS:
        nets[hz] = fit(hz)
        print(f"{hz} Hz after {perf_counter() - began:.0f} s", flush=True)
    path = save(nets, out)
    print(f"{path.name}: {path.stat().st_size} bytes in {perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
