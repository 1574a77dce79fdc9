"""Play tag on `gameedge up --game examples.tag:TagGame --bots 0`: run from whoever is it, or after the nearest when it is you."""

import asyncio
import sys

from examples.tag import SEATS, SIZE, SNAPSHOT
from gameedge_client import Client


def decide(payload: bytes) -> int:
    """One command: 0 stay, 1 east, 2 north, 3 west, 4 south."""
    seat, it, _, _, _, *rest = SNAPSHOT.unpack(payload)
    cells = [(rest[3 * i], rest[3 * i + 1]) for i in range(SEATS)]
    x, y = cells[seat]
    others = [cell for i, cell in enumerate(cells) if i != seat and (seat == it or i == it)]
    to_x, to_y = min(others, key=lambda cell: abs(cell[0] - x) + abs(cell[1] - y))
    dx, dy = (to_x - x, to_y - y) if seat == it else (x - to_x, y - to_y)
    if seat != it and not (0 < x < SIZE - 1 and 0 < y < SIZE - 1):  # along the wall rather than into it
        dx, dy = SIZE // 2 - x, SIZE // 2 - y
    if abs(dx) >= abs(dy):
        return 0 if dx == 0 else 1 if dx > 0 else 3
    return 2 if dy > 0 else 4


async def main(coordinator: str = "http://127.0.0.1:8080") -> None:
    client = await Client.guest(coordinator, name="ada")
    async with client.connect(await client.place(mode="tag")) as session:
        match = await session.play("tag")
        async for snapshot in match:
            match.send_payload(bytes([decide(snapshot.payload)]))
        print(match.result)


asyncio.run(main(*sys.argv[1:]))
