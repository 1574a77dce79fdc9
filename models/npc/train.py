"""Train the NPC policy: `python -m models.npc train`. Whole in this file, but for the league and the rewards.

Problem. One small network must play every mode, level and style, under delay and loss, and be trained on a laptop.
Method. PPO (Schulman et al. 2017) with generalised advantages (2016) on `League`: the servers' arena, three kinds of opponents
    (itself, snapshots of its past, the script at all levels), handicap, style, delay and loss drawn anew each match. The hand
    (core/npc/hand.py) turns decisions into human movements, so that aim need not be learned.
Guarantee. A checkpoint holds weights, optimiser, counters and snapshots; a run that goes on from it continues the same league
    curriculum (matches begin anew).
Cost. One core; figures are in CARD.md and results.json.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from gameedge.core.npc import policy
from gameedge.core.npc.style import STYLE_COUNT
from models.npc import loss
from models.npc.discriminator import Discriminator
from models.npc.league import LEARNER, PAST, League, Mix
from models.npc.rewards import SITUATION

HERE = Path(__file__).resolve().parent


Knots = tuple[tuple[float, float], ...]  # share of the run, value: straight lines between


def at(knots: Knots, progress: float) -> float:
    """The value of a schedule."""
    return float(np.interp(progress, [k for k, _ in knots], [v for _, v in knots]))


@dataclass
class Settings:
    """Everything that a run depends on, kept in its checkpoint."""

    seed: int = 7
    steps: float = 80e6  # agent-steps of the whole run; the schedules below follow their share, so that a slow machine learns the same
    hidden: int = 64
    horizon: int = 64  # decisions between updates
    epochs: int = 2
    minibatch: int = 8_192
    rate: Knots = ((0.0, 8e-4), (0.65, 5.2e-4), (1.0, 5e-5))
    discount: float = 0.985
    trace: float = 0.93
    clip: float = 0.2
    entropy: Knots = ((0.0, 0.008), (0.65, 0.0057), (1.0, 0.002))
    value: float = 0.5
    gradient: float = 0.7
    shape: Knots = ((0.035, 0.0), (0.173, 1.0), (0.65, 1.0), (1.0, 0.35))  # how much styles are rewarded: fights first, and last again
    snapshots: int = 8
    snapshot_every: int = 30  # updates


class Net(nn.Module):
    """Features to logits and value. The value is for training alone: the artifact leaves it out."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.w0 = nn.Linear(policy.FEATURE_SIZE, hidden)
        self.w1 = nn.Linear(hidden, hidden)
        self.w2 = nn.Linear(hidden, policy.LOGITS + 1)
        for layer, gain in ((self.w0, 1.4), (self.w1, 1.4), (self.w2, 0.05)):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.w0.weight[:, policy.F_STYLE : policy.F_STYLE + STYLE_COUNT] *= 3.0  # styles part early
            self.w2.bias[policy.L_SLOT] = 2.0  # explore by staying with a target: each change costs a reaction

    def forward(self, x: Tensor) -> Tensor:
        """Logits, then the value: [N, LOGITS + 1]."""
        return self.w2(torch.relu(self.w1(torch.relu(self.w0(x)))))

    def arrays(self) -> list[np.ndarray]:
        """The weights as numpy [in, out] and [out], without the value: what serving uses."""
        n = policy.LOGITS
        w = [p.detach().cpu().numpy() for p in self.parameters()]
        return [w[0].T.copy(), w[1].copy(), w[2].T.copy(), w[3].copy(), w[4].T[:, :n].copy(), w[5][:n].copy()]


class Trainer:
    """One run. `advance` is one round of playing and learning."""

    def __init__(self, settings: Settings, mix: Mix, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, torch.device(device)
        self.league = League(mix, settings.seed)
        self.net = Net(settings.hidden).to(self.device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=at(settings.rate, 0.0), eps=1e-5)
        self.past: list[list[np.ndarray]] = []
        self.updates, self.steps, self.cpu_s = 0, 0, 0.0
        self.curve: list[dict[str, float]] = []
        t, n = settings.horizon, len(self.league.by[LEARNER])
        self.features = torch.zeros(t, n, policy.FEATURE_SIZE)
        self.chosen = torch.zeros(t, n, 3, dtype=torch.int32)
        self.logp, self.values = torch.zeros(t, n), torch.zeros(t + 1, n)
        self.rewards, self.done, self.weight = torch.zeros(t, n), torch.zeros(t, n), torch.zeros(t, n)
        self.situations, self.styles = torch.zeros(t, n, SITUATION), torch.zeros(t, n, dtype=torch.int32)
        self.discriminator = Discriminator(settings.seed)
        self.stages = {"play": 0.0, "learn": 0.0}

    @property
    def progress(self) -> float:
        return min(1.0, self.steps / self.settings.steps)

    @torch.no_grad()
    def play(self) -> None:
        """Fill the buffers with one horizon."""
        league, settings = self.league, self.settings
        opponent = self.past[int(league.rng.integers(len(self.past)))] if self.past else self.net.arrays()
        shape = at(settings.shape, self.progress)
        for t in range(settings.horizon):
            x = torch.from_numpy(league.observe(LEARNER))
            self.features[t] = x
            self.weight[t] = torch.from_numpy(league.alive())
            outputs = self.net(x.to(self.device)).cpu()
            self.values[t] = outputs[:, policy.LOGITS]
            chosen = league.choose(LEARNER, outputs.numpy())
            self.chosen[t] = torch.from_numpy(chosen)
            loss.log_of(outputs.numpy(), chosen, self.logp[t].numpy())
            league.choose(PAST, forward(opponent, league.observe(PAST)))
            reward, done, situations, styles = league.step(shape)
            self.rewards[t], self.done[t] = torch.from_numpy(reward), torch.from_numpy(done)
            self.situations[t], self.styles[t] = torch.from_numpy(situations), torch.from_numpy(styles)
        self.values[-1] = self.net(torch.from_numpy(league.observe(LEARNER)).to(self.device))[:, policy.LOGITS].cpu()
        self.steps += self.weight.numel()
        if shape > 0.0:
            seen = self.situations, self.styles, self.weight * (1.0 - self.done)
            self.rewards += shape * self.discriminator.bonus(*seen)
            with torch.enable_grad():
                self.discriminator.learn(*seen)

    def advantages(self) -> Tensor:
        settings = self.settings
        out, last = torch.zeros_like(self.rewards), torch.zeros(self.rewards.shape[1])
        for t in reversed(range(settings.horizon)):
            on = 1.0 - self.done[t]
            delta = self.rewards[t] + settings.discount * self.values[t + 1] * on - self.values[t]
            last = delta + settings.discount * settings.trace * on * last
            out[t] = last
        return out

    def learn(self) -> None:
        settings, done = self.settings, self.progress
        rate, entropy_weight = at(settings.rate, done), at(settings.entropy, done)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        advantage = self.advantages()
        returns = (advantage + self.values[:-1]).flatten()
        used = self.weight.flatten().nonzero().squeeze(1)
        advantage = advantage.flatten()
        mean, spread = advantage[used].mean(), advantage[used].std() + 1e-6
        advantage = (advantage - mean) / spread
        features, chosen, logp = self.features.flatten(0, 1), self.chosen.flatten(0, 1), self.logp.flatten()
        for _ in range(settings.epochs):
            order = used[torch.randperm(len(used))]
            for part in order.split(settings.minibatch):
                if len(part) < settings.minibatch // 2:
                    continue
                c, old, adv, ret = (a[part].numpy() for a in (chosen, logp, advantage, returns))
                outputs = self.net(features[part].to(self.device))
                slope = np.empty((len(part), policy.LOGITS + 1), np.float32)
                loss.gradient(outputs.detach().cpu().numpy(), c, old, adv, ret, settings.clip, settings.value, entropy_weight, slope)
                self.optimiser.zero_grad(set_to_none=True)
                outputs.backward(torch.from_numpy(slope).to(self.device))
                nn.utils.clip_grad_norm_(self.net.parameters(), settings.gradient)
                self.optimiser.step()

    def advance(self) -> None:
        t0 = time.process_time()
        self.play()
        t1 = time.process_time()
        self.learn()
        t2 = time.process_time()
        self.stages["play"] += t1 - t0
        self.stages["learn"] += t2 - t1
        self.cpu_s += t2 - t0
        self.updates += 1
        if self.updates % self.settings.snapshot_every == 0:
            self.past.append(self.net.arrays())
            if len(self.past) > self.settings.snapshots:  # drop one at random but the newest: old styles of play stay around
                del self.past[int(self.league.rng.integers(len(self.past) - 1))]

    # -- checkpoints: tensors and text, never code

    def save(self, path: Path) -> None:
        tensors = {f"net.{name}": p.detach().cpu().clone() for name, p in self.net.state_dict().items()}
        tensors |= {f"told.{name}": p.detach().clone() for name, p in self.discriminator.net.state_dict().items()}
        for k, state in enumerate(self.optimiser.state.values()):
            tensors |= {f"adam.{k}.{name}": torch.as_tensor(value).cpu().clone() for name, value in state.items()}
        for i, weights in enumerate(self.past):
            tensors |= {f"past.{i}.{k}": torch.from_numpy(w.copy()) for k, w in enumerate(weights)}
        counters = {"updates": self.updates, "steps": self.steps, "cpu_s": self.cpu_s}
        metadata = {"settings": json.dumps(asdict(self.settings)), "counters": json.dumps(counters), "curve": json.dumps(self.curve)}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        safetensors.torch.save_file(tensors, part, metadata | {"features": str(policy.FEATURE_VERSION)})
        part.replace(path)

    def load(self, path: Path) -> None:
        tensors = safetensors.torch.load_file(path)
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata()
        self.net.load_state_dict({name[4:]: t for name, t in tensors.items() if name.startswith("net.")})
        self.discriminator.net.load_state_dict({name[5:]: t for name, t in tensors.items() if name.startswith("told.")})
        for k, parameter in enumerate(self.net.parameters()):
            self.optimiser.state[parameter] = {n.split(".")[2]: t for n, t in tensors.items() if n.startswith(f"adam.{k}.")}
        count = len({name.split(".")[1] for name in tensors if name.startswith("past.")})
        self.past = [[tensors[f"past.{i}.{k}"].numpy() for k in range(6)] for i in range(count)]
        counters = json.loads(metadata["counters"])
        self.updates, self.steps, self.cpu_s = counters["updates"], counters["steps"], counters["cpu_s"]
        self.curve = json.loads(metadata["curve"])


def forward(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The net in numpy: snapshots play without torch."""
    y = np.maximum(x @ weights[0] + weights[1], 0.0)
    y = np.maximum(y @ weights[2] + weights[3], 0.0)
    return np.ascontiguousarray(y @ weights[4] + weights[5])


def bar(trainer: Trainer, note: str) -> None:
    filled = int(30 * trainer.progress)
    rate = trainer.steps / max(trainer.cpu_s, 1e-9)
    line = (
        f"\r[{'#' * filled}{'.' * (30 - filled)}] {trainer.cpu_s:5.0f} s  {trainer.steps / 1e6:6.1f} M steps  {rate / 1e3:4.0f} k/s  {note}"
    )
    sys.stderr.write(line + " " * 6)
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.npc train", description="Train the NPC policy on one core.")
    parser.add_argument("--steps", type=float, default=Settings.steps, help="agent-steps in all, those of a resumed run included")
    parser.add_argument("--checkpoint", type=Path, default=HERE / "checkpoints" / "npc.safetensors")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--test-every", type=float, default=20.0, help="CPU seconds between tests against the script")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings, for example epochs=3")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = Settings(seed=options.seed, steps=options.steps)
    for name, _, value in (item.partition("=") for item in options.set):
        if not isinstance(getattr(settings, name, None), int | float):
            parser.error(f"--set {name}: not a number among the settings {[f.name for f in fields(settings)]}")
        setattr(settings, name, type(getattr(settings, name))(float(value)))
    trainer = Trainer(settings, Mix(), options.device)
    if options.resume and options.checkpoint.exists():
        trainer.load(options.checkpoint)
    from models.npc.matches import against_script  # here: a helper process that only loads a checkpoint needs none of it

    warm = Trainer(Settings(horizon=2, minibatch=8), Mix(2, 1, 1, 1), "cpu")  # kernels compile outside the clock
    warm.play()
    warm.learn()
    against_script(warm.net.arrays(), matches=2, seed=0, level=5)
    tested, note = trainer.cpu_s, ""
    while trainer.steps < settings.steps:
        trainer.advance()
        if trainer.cpu_s - tested >= options.test_every:
            tested = trainer.cpu_s
            share, kills = against_script(trainer.net.arrays(), matches=128, seed=trainer.updates, level=5)
            point = {"cpu_s": tested, "steps": trainer.steps, "wins": share, "kills": kills, "reward": trainer.rewards.mean().item()}
            point["told"] = trainer.discriminator.right
            trainer.curve.append(point)
            note = f"wins {share:.3f} kills {kills:.3f} told {trainer.discriminator.right:.2f}"
            trainer.save(options.checkpoint)
            sys.stderr.write("\n")
        bar(trainer, note)
    trainer.save(options.checkpoint)
    stages = {name: round(1e6 * took / max(trainer.steps, 1), 2) for name, took in trainer.stages.items()}
    sys.stderr.write(f"\nus a step: {stages}; checkpoint {options.checkpoint}\n")
    return 0
