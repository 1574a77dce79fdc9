"""Bots: brains that play (pure) and the players that carry them over real connections."""
