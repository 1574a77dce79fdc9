"""Open files: a process takes what its system allows, and says where that is too little."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gameedge.admin import checks_local
from gameedge.config import EdgeConfig
from gameedge.core import limits
from gameedge.edge.machine import Machine
from gameedge.inference.engine import Engine

CODE = """
import json, resource, sys
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from gameedge.edge.machine import allow_files
from gameedge.telemetry import logs
logs.configure("info")
said = allow_files(int(sys.argv[3]))
print(json.dumps([said, *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


def allowed(soft: int, hard: int, needed: int) -> tuple[list[int], str]:
    """In a process of its own: what `allow_files` says, the limits then, and what was logged."""
    words = [sys.executable, "-c", CODE, str(soft), str(hard), str(needed)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ran.stdout.splitlines()[-1]), ran.stdout + ran.stderr


def config(connections: int) -> EdgeConfig:
    return EdgeConfig(region="r", edge="e0", redis="memory://", bus="memory://", token_keys=[], connections_max=connections)


async def test_a_tool_that_cannot_be_started_says_nothing(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/no/such/interpreter\n")
    tool.chmod(0o755)
    assert await Machine(Engine(), str(tool))._utilisation() == 0.0


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    found, said = allowed(256, 2_048, config(1_000).files_needed)
    assert found == [2_048, 2_048, 2_048]
    assert "too_few_files" not in said


def test_too_few_are_told() -> None:
    found, said = allowed(256, 1_024, config(4_096).files_needed)
    assert found == [1_024, 1_024, 1_024]
    assert "too_few_files" in said
    assert str(config(4_096).files_needed) in said


def test_the_doctor_looks_at_the_limit_that_a_process_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def level(hard: int) -> tuple[str, str]:
        monkeypatch.setattr(checks_local.resource, "getrlimit", lambda _: (256, hard))
        [finding] = checks_local.files([("r/e0", config(2_000))], {})
        return finding.level, finding.do

    assert level(config(2_000).files_needed) == ("ok", "")
    assert level(checks_local.resource.RLIM_INFINITY)[0] == "ok"
    assert level(1_024)[0] == "warning"
    assert str(config(2_000).files_needed) in level(1_024)[1]
    assert config(limits.CONNECTIONS_MAX).files_needed < limits.OPEN_FILES_MAX
