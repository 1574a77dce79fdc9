"""Play one duel on a running `gameedge up`: go for the nearest enemy in sight and shoot at it.

python examples/play_a_match.py [coordinator URL] [mode]
"""

import asyncio
import math
import sys

from gameedge_client import Client, Subtick, View


def aim(view: View) -> Subtick:
    """One sub-tick: the cursor on the nearest enemy, or a walk to the middle of the arena."""
    enemies = [other for other in view.others if other.alive and other.team != team]
    if not enemies:
        return Subtick(32 - view.x, 32 - view.y, (32 - view.x) / 32, (32 - view.y) / 32, fire=False)
    target = min(enemies, key=lambda enemy: math.dist((enemy.x, enemy.y), (view.x, view.y)))
    dx, dy = target.x - view.x, target.y - view.y
    return Subtick(dx, dy, -dy / 16, dx / 16, fire=True)


async def main(coordinator: str = "http://127.0.0.1:8080", mode: str = "duel") -> None:
    global team
    client = await Client.guest(coordinator, name="ada")
    async with client.connect(await client.place(mode=mode)) as session:
        match = await session.play(mode)
        team = match.info.team
        async for snapshot in match:
            match.command((aim(snapshot.view),) * 3)
        print(match.result)


asyncio.run(main(*sys.argv[1:]))
