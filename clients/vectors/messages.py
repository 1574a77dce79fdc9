"""Control messages as golden text: what is understood, and what is refused how."""

import json
from typing import Any, Final

import msgspec

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.ids import SessionId
from gameedge.core.protocol import messages as m
from gameedge.core.protocol.session import ServerSession

WELCOME: Final = m.Welcome(
    session="s_0k2v6m9x4t1w8q3z5r7n",
    resume_token="r_6d1h8s3k5w0y2b7v9m4t",
    resumed=False,
    received=0,
    player="p_3f9x7c2m5k8w1t6v0b4z",
    region="eu-central",
    edge="e1",
    game="arena",
    tick=53_412,
    tick_hz=60,
    snapshot_hz=20,
    server_ms=890_200,
    heartbeat_ms=limits.HEARTBEAT_MS,
    resume_ms_max=limits.RESUME_MS_MAX,
    commands_per_s=limits.COMMANDS_PER_S,
    frame_bytes_max=limits.FRAME_BYTES_MAX,
    modes=[m.ModeInfo("duel", "Duel", 2, 1, 120_000), m.ModeInfo("ffa", "Free for all", 8, 1, 240_000)],
)
FOUND: Final = m.MatchFound(
    ticket="t_1", match="m_1", mode="duel", url="wss://eu.play.example/1", match_token="k_1", join_ms=limits.JOIN_MS_MAX
)
STARTED: Final = m.MatchStarted(
    match="m_1",
    mode="duel",
    seat=1,
    team=1,
    tick=53_700,
    duration_ms=120_000,
    roster=[m.RosterSeat(0, 0, "npc-0", npc=True), m.RosterSeat(1, 1, "Zoë 🎯")],
)
ENDED: Final = m.MatchEnded(match="m_1", ranks=[1, 0], scores=[4, 10], seat_scores=[4, 10], reason="finished")

CLIENT: Final[tuple[m.ClientMessage, ...]] = (
    m.Hello(token="eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl"),
    m.Hello(token="eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl", resume=WELCOME.resume_token, last_s=7, client="my-game/1.4 (unity)"),
    m.Watch(token="eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl", match="m_1"),
    m.Ack(s=16),
    m.Queue(n=1, mode="duel"),
    m.Queue(n=2, mode="squads", party=m.Party("friends-77", 3)),
    m.Queue(
        n=3,
        mode="squads",
        attributes={"maps": ["docks", "mill"], "input": "pad", "level": 12.5},
        roles=["tank", "healer"],
        rtt_ms={"eu-central": 14.2, "us-east": 98.5},
        loss={"eu-central": 0.01},
        blocks=["p_3f9x7c2m5k8w1t6v0b4z"],
    ),
    m.Queue(n=3, mode="duel", away=True),
    m.Cancel(n=3),
    m.Explain(n=4),
    m.Accept(n=4, match="m_1"),
    m.Decline(n=4, match="m_1"),
    m.Join(n=4, match="m_1", match_token="k_1"),
    m.Leave(n=5),
    m.Ping(id=0),
    m.Ping(id=2**53 - 1),
    m.Bye(),
)
SERVER: Final[tuple[m.ServerMessage, ...]] = (
    WELCOME,
    msgspec.structs.replace(WELCOME, resumed=True, received=12),
    m.Queued(s=1, ticket="t_1", mode="duel"),
    m.QueueStatus(ticket="t_1", waited_ms=1_020, pool=3),
    m.QueueStatus(ticket="t_1", waited_ms=2_031, pool=4, eta_ms=900),
    m.Dequeued(s=2, ticket="t_1"),
    m.Dequeued(s=2, ticket="t_1", reason=Reason.NOT_FOUND, detail="nobody was found in time; queue again"),
    m.Explained(s=2, ticket="t_1", state="party", text="1 of 2 members of the party are here; the others have not queued"),
    m.Explained(
        s=3,
        ticket="t_1",
        state="widening",
        text="3 people fit now, 9 are needed; enough fit in 4 s; skill excludes most, 12",
        waited_ms=2_031,
        others=15,
        needed=9,
        fits=3,
        first_ms=0,
        enough_ms=3_600,
        eta_ms=900,
        rules=[m.RuleSeen("skill", 12, 10, 400), m.RuleSeen("equal platform", 2, 0)],
    ),
    m.MatchOffered(s=2, ticket="t_1", match="m_1", mode="duel", people=2, accept_ms=15_000),
    m.MatchWithdrawn(s=3, ticket="t_1", match="m_1", detail="somebody did not accept it"),
    msgspec.structs.replace(FOUND, s=2),
    m.MatchAway(
        s=2,
        ticket="t_1",
        match="m_1",
        mode="duel",
        region="us-east",
        urls=["wss://us.play.example/1", "wss://us.play.example/2"],
        token="eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl",
        match_token="k_1",
        join_ms=limits.CROSSING_JOIN_MS,
    ),
    msgspec.structs.replace(STARTED, s=3),
    m.Roster(match="m_1", roster=[m.RosterSeat(0, 0, "Ada"), m.RosterSeat(1, 1, "Zoë 🎯")]),
    msgspec.structs.replace(ENDED, s=4),
    m.MatchLost(s=4, match="m_1", detail="the process that ran the match died"),
    m.Watching(
        match="m_1",
        mode="duel",
        delay_ms=3_000,
        tick=53_700,
        tick_hz=60,
        snapshot_hz=20,
        duration_ms=120_000,
        roster=[m.RosterSeat(0, 0, "npc-0 rusher L5", npc=True), m.RosterSeat(1, 1, "Zoë 🎯")],
    ),
    m.Pong(id=1, tick=53_430, server_ms=890_500),
    m.Pong(id=2, tick=53_730, server_ms=895_500, received=2),
    m.Refused(re="queue", reason=Reason.ALREADY_QUEUED, detail="cancel first", n=2),
    m.Refused(re="ping", reason=Reason.TOO_OFTEN, retry_after_ms=201),
    m.Reroute(rtt_ms=140, placed_ms=31),
    m.Fallback(url="wss://edge-2.example.com/play"),
    m.Draining(within_ms=30_000),
)
FUTURE: Final = (
    ('{"t":"weather","s":9,"sky":"clear"}', "weather", 9),
    ('{"t":"weather"}', "weather", 0),
    ('{"t":"queued","s":5,"mode":42}', "queued", 5),
    ("not JSON", "", 0),
    ("[]", "", 0),
)


def vectors() -> dict[str, list[dict[str, Any]]]:
    """`client` and `server`: text as it is on the wire, and what it says. `unknown`: what a client makes of other text."""

    def entry(message: m.Message) -> dict[str, Any]:
        data = m.encode(message)
        return {"t": m.tag_of(message), "critical": message.critical, "message": json.loads(data), "hex": data.hex()}

    return {
        "client": [entry(message) for message in CLIENT],
        "server": [entry(message) for message in SERVER],
        "unknown": [{"text": text, "t": tag, "s": s} for text, tag, s in FUTURE],
    }


HELLO: Final = b'{"t":"hello","token":"a.b.c"}'
BAD: Final[tuple[tuple[str, bool, bytes], ...]] = (  # what, after the welcome or before it, bytes
    ("not JSON", True, b"hello"),
    ("not UTF-8", True, b"\xff\xfe"),
    ("no object", True, b'["ping"]'),
    ("no tag", True, b'{"id":1}'),
    ("an unknown tag", True, b'{"t":"teleport","n":1}'),
    ("a field of another type", True, b'{"t":"ping","id":"1"}'),
    ("a missing field", True, b'{"t":"ping"}'),
    ("a number below its bound", True, b'{"t":"ack","s":-1}'),
    ("a number above its bound", True, b'{"t":"ping","id":9007199254740992}'),
    ("a fraction", True, b'{"t":"ping","id":1.5}'),
    ("text over its bound", True, b'{"t":"queue","n":1,"mode":"' + b"x" * 65 + b'"}'),
    ("a party of one", True, b'{"t":"queue","n":1,"mode":"duel","party":{"id":"a","size":1}}'),
    ("a round trip below its bound", True, b'{"t":"queue","n":1,"mode":"duel","rtt_ms":{"eu":-1}}'),
    ("a share above its bound", True, b'{"t":"queue","n":1,"mode":"duel","loss":{"eu":1.5}}'),
    ("an attribute that is no number, word or list of words", True, b'{"t":"queue","n":1,"mode":"duel","attributes":{"a":{}}}'),
    ("a critical message without its number", True, b'{"t":"queue","mode":"duel"}'),
    ("a number that leaves a gap", True, b'{"t":"cancel","n":5}'),
    ("an acknowledgement of what was never sent", True, b'{"t":"ack","s":3}'),
    ("a second hello", True, HELLO),
    ("a watch within a session", True, b'{"t":"watch","token":"a.b.c","match":"m_1"}'),
    ("over the size of a frame", True, b" " * (limits.FRAME_BYTES_MAX + 1)),
    ("a message before the hello", False, b'{"t":"queue","n":1,"mode":"duel"}'),
    ("a hello without a token", False, b'{"t":"hello"}'),
    ("a watch without a match", False, b'{"t":"watch","token":"a.b.c"}'),
    ("a token over its bound", False, b'{"t":"hello","token":"' + b"x" * (limits.TOKEN_BYTES_MAX + 1) + b'"}'),
    ("a first message that is no JSON", False, b"GET / HTTP/1.1"),
)


def refusals() -> list[dict[str, Any]]:
    """Text frames that a server does not take: `after` which message, and the refusal or the close code that answers."""
    out = []
    for why, welcomed, data in BAD:
        session = ServerSession(SessionId("s_1"), "r_1", 0.0)
        if welcomed:
            session.receive_text(HELLO, 0.0)
            session.open(WELCOME, 0.0)
            session.outgoing()
        session.receive_text(data, 1.0)
        answers = [json.loads(answer) for answer in session.outgoing()]
        entry: dict[str, Any] = {"why": why, "after": "welcome" if welcomed else "connect"}
        entry |= {"repeat": len(data), "hex": data[:1].hex()} if len(set(data)) == 1 else {"hex": data.hex()}
        # `detail` is for people: its words may change, so they are no vector.
        entry["refused"] = [{key: value for key, value in answer.items() if key != "detail"} for answer in answers]
        entry["close"] = session.closing.code if session.closing is not None else None
        out.append(entry)
    return out
