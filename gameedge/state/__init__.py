"""State that outlives a process: a region's Redis and the global one, each with a twin in memory. See `base.py`."""
