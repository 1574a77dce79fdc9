"""Modules of the client that need no browser, in Node: prediction, interpolation, sight, names."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed: the client's modules cannot be run here")
def test_modules() -> None:
    assert NODE is not None
    done = subprocess.run([NODE, str(Path(__file__).with_name("modules.mjs"))], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["checked"] >= 10
