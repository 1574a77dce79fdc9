"""Decisions and formats as pure functions: values in, values out.

Nothing below this package does I/O, reads a clock or draws hidden randomness: time is `now_ms`, randomness is an argument.
Clients, servers, training and the simulator share it, so they cannot drift apart.
"""
