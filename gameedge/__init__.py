"""gameedge: a game backend that runs where the players are."""

__version__ = "0.1.0"
