"""Train the network of `score-aim`: `python -m models.anticheat.train_mouse`. Needs torch and the recorded people (see real.py).

People 1 to 48 and machines pasted onto their paths; people 49 to 72 are never looked at here. Each person's clicks are seen many times,
each time another way (hands.py), and machines are drawn anew all the while, so that the networks learn hands and machines and not clicks.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import safetensors.numpy

from gameedge.inference.artifacts import file_name
from models.anticheat import hands, mouse, mousenet, real, score
from models.anticheat.train import WEIGHTS, ordered

SEED = 20_261
BATCH, KEEP_EVERY = 512, 500
RATE, DECAY, DROPOUT, KEEP = 2e-3, 0.03, 0.2, 0.995
STANDARD = ("mean", "scale", "channel_mean", "channel_scale")
EACH, RENEW = 2_000, 600  # machines of a family in a part of the pool, steps until the oldest part is drawn anew
HUMAN_PRIOR = 0.65
TAIL_SHARE, RECENT = 0.004, 24  # people above the threshold of `Tail`; batches that set it


@dataclass(frozen=True)
class Plan:
    """One network: rate, steps of training, weight of the loss `Tail`, parts of the pool. slow: the rate of learning falls as a cosine over
    slow[1] steps until step slow[0], and over `steps` from there on: long at a high rate, then a short end. again: steps more after these,
    in which the rate falls once more, from again[1] (a warm restart): Adam begins anew, from the mean of the last steps."""

    hz: int
    steps: int
    tail: float = 0.0
    parts: int = 8
    slow: tuple[int, int] = (0, 1)
    again: tuple[int, float] = (0, 0.0)
    seed: int = 0

    @property
    def all_steps(self) -> int:
        return self.steps + self.again[0]

    def rate(self, step: int) -> float:
        length, top = self.slow[1] if step <= self.slow[0] else self.steps, RATE
        if step >= self.steps:
            step, (length, top) = step - self.steps, self.again
        return top * min(1.0, (step + 1) / 200) * 0.5 * (1 + float(np.cos(np.pi * step / length))) + 1e-5


# Those of one rate are averaged. `tail` at 30 Hz lost by longer training: the highest scores of people 1 to 48 fell, not those of others.
PLANS = (
    Plan(30, 8_624, slow=(7_474, 12_000), again=(6_000, 1e-3)),
    Plan(30, 8_000, slow=(5_000, 12_000), seed=3),
    Plan(20, 1_500, 0.1, parts=5, again=(3_000, 1.5e-3), seed=2),
)
PROCESSES = 2
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"  # a run that was cut off goes on from there
# How much a family counts in the loss, and then in the score: a snap is certain where it is one, a replay never.
COUNTS = {"snap": 3.0, "smooth": 1.5, "minjerk": 1.5, "wind": 1.5}
COUNTS_ELSE = 0.5
WEIGH = {"snap": 2.5, "smooth": 1.0, "minjerk": 1.0, "wind": 1.0, "replay": 0.2}
WEIGH_ELSE = 0.3


@cache
def _people(users: range) -> tuple[real.Clicks, real.Clicks]:
    clicks, stops = real.clicks(users), real.stops(users)
    if clicks is None or stops is None:
        raise SystemExit(f"{real.FILE} is not there: the network of score-aim is trained on recorded people; set GAMEEDGE_DATA")
    return clicks, stops


class Pool:
    """Paths as the network sees them, of people and machines; the oldest part is drawn anew again and again, so that few machines are
    seen often. Channels are float16, to keep many."""

    def __init__(self, hz: int, families: Sequence[str], rng: np.random.Generator, users: range, parts: int) -> None:
        self.hz, self.families, self.rng = hz, families, rng
        self.clicks, self.stops = _people(users)
        drawn = [self._draw() for _ in range(parts)]
        self.size = min(len(kind) for _, kind in drawn)
        self.channels = np.concatenate([views[0][: self.size] for views, _ in drawn])
        self.figures = np.concatenate([views[1][: self.size] for views, _ in drawn])
        self.kind = np.concatenate([kind[: self.size] for _, kind in drawn])
        self.oldest = 0

    def _draw(self) -> tuple[hands.Views, np.ndarray]:
        """A part, shuffled: everybody's clicks once, some of their other stops, and machines."""
        some = self.stops.take(self.rng.choice(len(self.stops.user), len(self.stops.user) // 5))
        views = [hands.views(hands.humans(people, self.hz, self.rng, change=True), self.hz, self.rng) for people in (self.clicks, some)]
        kinds = [0, 0]
        for family in self.families:
            rows = self.clicks.take(self.rng.choice(len(self.clicks.user), EACH))
            paths = hands.machines(family, rows, self.hz, self.rng, donors=self.clicks.path, change=True)
            views.append(hands.views(paths, self.hz, self.rng))
            kinds.append(mousenet.CLASSES.index(family))
        order = self.rng.permutation(sum(len(part[1]) for part in views))
        channels, figures = hands.joined([(part[0].astype(np.float16), part[1]) for part in views])
        return (channels[order], figures[order]), np.repeat(kinds, [len(part[1]) for part in views])[order]

    def renew(self) -> None:
        (channels, figures), kind = self._draw()
        to = slice(self.oldest * self.size, (self.oldest + 1) * self.size)
        short = min(self.size, len(kind))
        to = slice(to.start, to.start + short)
        self.channels[to], self.figures[to], self.kind[to] = channels[:short], figures[:short], kind[:short]
        self.oldest = (self.oldest + 1) % (len(self.kind) // self.size)


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
            self.e = nn.Conv1d(deep, deep, 3, padding=1)
            self.flat, self.side, self.top, self.out = (nn.Linear(*shape[f"{name}.w"]) for name in ("flat", "side", "top", "out"))
            self.drop = nn.Dropout(DROPOUT)

        def forward(self, x: Any, f: Any) -> Any:
            x = self.a(x.transpose(1, 2)).relu()
            x = (x + self.b(x)).relu()
            x = self.c(x).relu()
            x = (x + self.d(x)).relu()
            x = (x + self.e(x)).relu()
            h = self.drop(_cat([self.flat(x.transpose(1, 2).flatten(1)).relu(), self.side(f).relu()]))
            return self.out(self.drop(self.top(h).relu()))

    return Net()


def _cat(parts: list[Any]) -> Any:
    import torch

    return torch.cat(parts, 1)


class Fit:
    """One network while it trains. families: those that training sees; start: a network as `tensors` gives it, to go on from after
    plan.steps; keep: a file that what is needed to go on is written to now and then, and read from where it is there (with machines and
    people drawn anew, so not to the bit)."""

    def __init__(
        self,
        plan: Plan,
        families: Sequence[str] = mousenet.CLASSES[1:],
        users: range = real.TRAIN_USERS,
        start: mousenet.Tensors | None = None,
        keep: Path | None = None,
    ) -> None:
        import torch

        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        kept = torch.load(keep, weights_only=True) if keep is not None and keep.exists() else None
        self.plan, self.keep = plan, keep
        self.step = kept["step"] if kept else plan.steps if start else 0
        begin = SEED + plan.hz + 1_000 * plan.seed + 7 * self.step
        torch.manual_seed(begin)
        self.rng = np.random.default_rng(begin)
        self.pool = pool = Pool(plan.hz, families, self.rng, users, plan.parts)
        sample = self.rng.choice(len(pool.kind), min(len(pool.kind), 20_000), replace=False)
        channels = pool.channels[sample].astype(np.float32).reshape(-1, mouse.CHANNELS)
        given = start or (kept["standard"] if kept else None)
        self.standard = dict(zip(STANDARD, (*_standard(pool.figures[sample]), *_standard(channels)), strict=True))
        if given:
            self.standard = {name: np.asarray(given[name]) for name in STANDARD}
        count = np.bincount(pool.kind, minlength=len(mousenet.CLASSES))
        counts = np.array([COUNTS.get(name, COUNTS_ELSE) for name in mousenet.CLASSES])
        counts[0] = HUMAN_PRIOR / (1 - HUMAN_PRIOR) * (counts * count)[1:].sum() / count[0]
        self.weight = torch.tensor(counts, dtype=torch.float32)
        self.weigh = np.array([WEIGH.get(name, WEIGH_ELSE) for name in mousenet.CLASSES[1:]])
        self.tail = Tail(self.weight, torch.tensor(np.log(self.weigh), dtype=torch.float32))
        self.net = _module(plan.hz)
        if kept or start:
            self.net.load_state_dict(kept["net"] if kept else _torch(start, self.net.state_dict()))
        self.adam = torch.optim.AdamW(self.net.parameters(), lr=RATE, weight_decay=DECAY)
        self.mean = {name: value.clone() for name, value in self.net.state_dict().items()}  # over the last steps
        if kept:
            self.adam.load_state_dict(kept["adam"])
            self.mean = kept["mean"]

    def run(self) -> dict[str, np.ndarray]:
        """Until the plan is done; the tensors."""
        import torch

        losses, plan = [], self.plan
        while self.step < plan.all_steps:
            if self.step == plan.steps:
                self.net.load_state_dict(self.mean)
                self.adam = torch.optim.AdamW(self.net.parameters(), lr=RATE, weight_decay=DECAY)
            losses.append(self._once())
            self.step += 1
            if self.step % RENEW == 0:
                self.pool.renew()
            if self.step % KEEP_EVERY == 0:
                print(
                    f"{plan.hz} Hz, {plan.seed}, step {self.step} of {plan.all_steps}: loss {np.mean(losses[-KEEP_EVERY:]):.4f}", flush=True
                )
                self._keep()
        return self.tensors()

    def _once(self) -> float:
        import torch

        step, plan, clip = self.step, self.plan, mousenet.CLIP
        mean, scale, channel_mean, channel_scale = (self.standard[name] for name in STANDARD)
        rows = self.rng.integers(0, len(self.pool.kind), BATCH)
        for group in self.adam.param_groups:
            group["lr"] = plan.rate(step)
        x = np.clip((self.pool.channels[rows].astype(np.float32) - channel_mean) * channel_scale, -clip, clip)
        f = np.clip((self.pool.figures[rows] - mean) * scale, -clip, clip)
        z, kind = self.net(torch.from_numpy(x), torch.from_numpy(f)), torch.from_numpy(self.pool.kind[rows])
        loss = torch.nn.functional.cross_entropy(z, kind, weight=self.weight)
        if plan.tail and step > 300:
            loss = loss + plan.tail * self.tail(z, kind)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        if step % 4 == 0:
            fade = min(KEEP, step / (step + 40))
            for name, value in self.net.state_dict().items():
                self.mean[name].mul_(fade).add_(value, alpha=1 - fade)
        return float(loss.item())

    def _keep(self) -> None:
        import torch

        if self.keep is None:
            return
        standard = {name: torch.from_numpy(value) for name, value in self.standard.items()}
        state = {"step": self.step, "net": self.net.state_dict(), "adam": self.adam.state_dict(), "mean": self.mean, "standard": standard}
        self.keep.parent.mkdir(parents=True, exist_ok=True)
        new = self.keep.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.keep)

    def tensors(self) -> dict[str, np.ndarray]:
        """As mousenet.shapes has them, with what is needed to standardise."""
        found = _plain(self.mean) | self.standard | {"weigh": self.weigh}
        return {name: np.round(tensor, 5).astype(np.float32) for name, tensor in found.items()}


def fit(
    plan: Plan,
    families: Sequence[str] = mousenet.CLASSES[1:],
    users: range = real.TRAIN_USERS,
    start: mousenet.Tensors | None = None,
    keep: Path | None = None,
) -> dict[str, np.ndarray]:
    """Train one network; see `Fit`."""
    return Fit(plan, families, users, start, keep).run()


class Tail:
    """Part of the loss: the people with the highest scores against machines, about a threshold that few people reach. What is asked of a
    score is how much it finds where 1 in 1,000 shots of people is accused, and cross-entropy alone looks at all people alike."""

    def __init__(self, weight: Any, weigh: Any) -> None:
        self.weight, self.weigh = weight, weigh
        self.recent: list[Any] = []

    def __call__(self, z: Any, kind: Any) -> Any:
        import torch
        from torch.nn.functional import softplus

        score = torch.logsumexp(z[:, 1:] + self.weigh, 1) - z[:, 0]
        people = score[kind == 0]
        self.recent = [*self.recent[-(RECENT - 1) :], people.detach()]
        level = torch.quantile(torch.cat(self.recent), 1 - TAIL_SHARE)
        w = self.weight[kind] * (kind > 0)
        machines = (w * softplus(level - score)).sum() / w.sum()
        return machines + softplus(people - level).mean() * (0.1 / TAIL_SHARE)


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


def _torch(tensors: mousenet.Tensors, state: dict[str, Any]) -> dict[str, Any]:
    """The other way round: tensors of an artifact as the module's state, `state` for its shapes."""
    import torch

    out = {}
    for name, value in state.items():
        part, kind = name.split(".")
        tensor = np.asarray(tensors[f"{part}.{kind[0]}"], np.float32)
        if kind == "weight":
            shape = tuple(value.shape)
            tensor = tensor.reshape(*shape[:0:-1], shape[0]).T if len(shape) == 3 else tensor.T
        out[name] = torch.from_numpy(np.array(tensor, order="C"))
    return out


def save(nets: Sequence[dict[str, np.ndarray]], out: Path) -> Path:
    """nets: one for each of PLANS."""
    known: dict[int, int] = {}
    tensors = {}
    for plan, net in zip(PLANS, nets, strict=True):
        number = known[plan.hz] = known.get(plan.hz, -1) + 1
        tensors |= {f"{name}_{plan.hz}_{number}": np.ascontiguousarray(tensor) for name, tensor in net.items()}
    metadata = {"kind": score.KIND, "version": score.VERSION, "classes": ",".join(mousenet.CLASSES), "seed": str(SEED)}
    data = ordered(safetensors.numpy.save(tensors, metadata))
    path = out / file_name(score.NAME, data)
    for old in out.glob(f"{score.NAME}-*.safetensors"):
        if old != path:
            old.unlink()
    path.write_bytes(data)
    return path


def _kept(plan: Plan) -> Path:
    """Where a network that is half trained lies: another plan has another file."""
    return CHECKPOINTS / f"{score.NAME}-{plan.hz}-{sha256(repr(plan).encode()).hexdigest()[:12]}.pt"


def _fit_kept(plan: Plan) -> dict[str, np.ndarray]:
    return fit(plan, keep=_kept(plan))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder; older weights of the same name are removed")
    out = parser.parse_args().out
    try:
        import torch  # noqa: F401
    except ImportError:
        raise SystemExit("training needs torch: python -m pip install torch==2.13.0") from None
    began = perf_counter()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        nets = list(pool.map(_fit_kept, PLANS))
    path = save(nets, out)
    for plan in PLANS:
        _kept(plan).unlink(missing_ok=True)
    print(f"{path.name}: {path.stat().st_size} bytes in {perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
