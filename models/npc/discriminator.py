"""Who can be told from whom: a small network that guesses the style from a situation, and rewards those whose style shows.

Method. Diversity by a discriminator (Eysenbach et al. 2018, "Diversity is all you need"), here beside what each style is asked
    to like (rewards.py), so that styles keep their meaning: the bonus is the log probability of the true style over chance,
    clipped, less its mean (living longer by hiding earns nothing). Only who has mates is judged: alone, fights come first.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from gameedge.core.npc.style import STYLE_COUNT
from models.npc.rewards import ALLY, FAR, SCALE, SITUATION, TOLD

HIDDEN: Final = 32
SAMPLE: Final = 8_192  # situations of each update that it learns from
CLIP: Final = 2.0  # nats


class Discriminator:
    """Lives for one training run; nothing of it is served."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.net = nn.Sequential(nn.Linear(SITUATION, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, STYLE_COUNT))
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=5e-3)
        self.scale = torch.from_numpy(1.0 / SCALE)
        self.right = 1.0 / STYLE_COUNT  # share of its last sample whose style it named

    @torch.no_grad()
    def bonus(self, situations: Tensor, styles: Tensor, alive: Tensor) -> Tensor:
        """The reward of each decision, [T, N], from situations [T, N, SITUATION], styles and whether it was alive [T, N]."""
        logs = torch.log_softmax(self.net(situations * self.scale), dim=-1)
        told = logs.gather(-1, styles.long().unsqueeze(-1)).squeeze(-1) + float(np.log(STYLE_COUNT))
        counts = alive * (situations[..., ALLY] < FAR)
        told = told.clamp(-CLIP, CLIP)
        return TOLD * (told - (told * counts).sum() / counts.sum().clamp(min=1.0)) * counts

    def learn(self, situations: Tensor, styles: Tensor, alive: Tensor) -> None:
        """One step on a sample of the same data."""
        good = (alive * (situations[..., ALLY] < FAR)).flatten().nonzero().squeeze(1)
        if not len(good):
            return
        pick = good[torch.from_numpy(self.rng.integers(len(good), size=SAMPLE))]
        x, y = situations.flatten(0, 1)[pick] * self.scale, styles.flatten()[pick].long()
        logits = self.net(x)
        self.optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(logits, y).backward()
        self.optimiser.step()
        self.right = float((logits.argmax(dim=1) == y).float().mean())
