"""The reference game: a top-down shooter, vectorised over all matches of a process. Its seam is `gameedge.core.game.Game`."""

from gameedge.arena.arena import Arena

__all__ = ["Arena"]
