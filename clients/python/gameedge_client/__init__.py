"""The Python client of gameedge: sign up, be placed, queue, play, resume.

client = await Client.guest("http://127.0.0.1:8080", name="ada")
async with client.connect(await client.place(mode="duel")) as session:
    match = await session.play("duel")
    async for snapshot in match:
        match.command(...)
    print(match.result)
"""

from gameedge.core.protocol.arena_v1 import Event, Other, Subtick, View
from gameedge.core.protocol.frames import SnapshotHeader
from gameedge.core.protocol.messages import (
    Explained,
    MatchEnded,
    MatchFound,
    MatchOffered,
    MatchStarted,
    Party,
    QueueStatus,
    RuleSeen,
    Welcome,
)
from gameedge_client.beacons import ping_beacon, ping_regions
from gameedge_client.client import Client, GuestAccount, Placement, RegionInfo
from gameedge_client.dial import Dial
from gameedge_client.errors import (
    ConnectionLostError,
    GameEdgeError,
    MatchLostError,
    Reason,
    RefusedError,
    SessionLostError,
)
from gameedge_client.match import Match, Snapshot
from gameedge_client.session import Session, Wishes

__all__ = [
    "Client",
    "ConnectionLostError",
    "Dial",
    "Event",
    "Explained",
    "GameEdgeError",
    "GuestAccount",
    "Match",
    "MatchEnded",
    "MatchFound",
    "MatchLostError",
    "MatchOffered",
    "MatchStarted",
    "Other",
    "Party",
    "Placement",
    "QueueStatus",
    "Reason",
    "RefusedError",
    "RegionInfo",
    "RuleSeen",
    "Session",
    "SessionLostError",
    "Snapshot",
    "SnapshotHeader",
    "Subtick",
    "View",
    "Welcome",
    "Wishes",
    "ping_beacon",
    "ping_regions",
]
