"""Play a match on a running `gameedge up`: python examples/play_a_match.py [coordinator URL] [mode]."""

import asyncio
import math
import sys

from gameedge_client import Client, Subtick, View


def decide(view: View, team: int) -> Subtick:
    """Circle the nearest enemy in sight and shoot at it; with none in sight, go to the middle of the arena."""
    enemies = [other for other in view.others if other.alive and other.team != team]
    if not enemies:
        return Subtick(32 - view.x, 32 - view.y, (32 - view.x) / 32, (32 - view.y) / 32, fire=False)
    dx, dy = min(((enemy.x - view.x, enemy.y - view.y) for enemy in enemies), key=lambda way: math.hypot(*way))
    return Subtick(dx, dy, -dy / 16, dx / 16, fire=True)


async def main(coordinator: str = "http://127.0.0.1:8080", mode: str = "duel") -> None:
    client = await Client.guest(coordinator, name="ada")
    async with client.connect(await client.place(mode=mode)) as session:
        match = await session.play(mode)
        async for snapshot in match:
            match.command((decide(snapshot.view, match.info.team),) * 3)
        print(match.result)


asyncio.run(main(*sys.argv[1:]))
