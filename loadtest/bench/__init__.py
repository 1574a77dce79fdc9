"""Benchmarks: `python -m loadtest bench [NAME] [--json] [--save]`. Each module has `run(notes) -> list[Row]`."""
