"""Programs as people start them: what they print, or why they failed."""

import asyncio
import sys
from pathlib import Path

from gameedge.local.node import child_env

ROOT = Path(__file__).parents[2]
WAIT_S = 70.0


async def run_program(*arguments: str, program: str = sys.executable) -> str:
    """stdout; fails with stderr where the program does. Nothing is left running."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=child_env(), cwd=ROOT
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), WAIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out.decode()
