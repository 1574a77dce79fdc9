"""A welcome as an edge process would give it: what the session fills in is left blank."""

from gameedge.core.protocol.messages import ModeInfo, Welcome

WELCOME = Welcome(
    session="",
    resume_token="",
    resumed=False,
    received=0,
    player="p_1",
    region="north",
    edge="north-1",
    game="arena",
    tick=0,
    tick_hz=60,
    snapshot_hz=20,
    server_ms=0,
    heartbeat_ms=5_000,
    resume_ms_max=30_000,
    commands_per_s=20,
    frame_bytes_max=4_096,
    modes=[ModeInfo("duel", "Duel", 2, 1, 60_000)],
)
