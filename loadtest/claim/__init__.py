"""The claim of this project, measured: the same players with regions at the edge, and with one central cloud."""
