"""The global process: accounts, placement, registry of regions, results and ratings, the operators' API. Starts in `app.py`."""
