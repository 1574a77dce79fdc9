"""Control messages of `gameedge.v1`: one union a direction, JSON in WebSocket text frames, tagged by `t`.

Which messages may be lost is declared on the type. A *critical* server message carries `s`, counted from 1 without gaps, and is
kept until acknowledged, so that it survives a lost connection. A *critical* client message carries `n` in the same way; the
server answers a repeated `n` by ignoring it. Everything else may be lost with the connection. Bounds are in the types: a
message outside them is refused as malformed. `s` and `n` are assigned by the sessions (session.py, client_session.py): build
messages without them. Both unions and their codec are one page: an answer is read beside what it answers.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.matchmaking.ticket import Attributes, Word, Words

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Number = Annotated[int, Meta(ge=1, le=2**53 - 1)]
ShortText = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=256)]
Token = Annotated[str, Meta(max_length=limits.TOKEN_BYTES_MAX)]
Name = Annotated[str, Meta(max_length=limits.NAME_CHARS_MAX)]
RoundTrips = Annotated[dict[Word, Annotated[float, Meta(ge=0, le=limits.RTT_MS_MAX)]], Meta(max_length=limits.TICKET_REGIONS_MAX)]
Losses = Annotated[dict[Word, Annotated[float, Meta(ge=0, le=1)]], Meta(max_length=limits.TICKET_REGIONS_MAX)]


class Message(msgspec.Struct, tag_field="t", omit_defaults=True, frozen=True):
    """The base of all messages."""

    critical: ClassVar[bool] = False


# ---------------------------------------------------------------------------------------------------------- client → server


class Hello(Message, tag="hello", kw_only=True, frozen=True):
    """The first message on a connection. With `resume`, an earlier session goes on."""

    token: Token
    resume: Token | None = None  # the resume token of `welcome`
    last_s: Count = 0  # the last critical server message that was processed
    client: ShortText = ""  # what is connecting, for the operator's logs


class Watch(Message, tag="watch", kw_only=True, frozen=True):
    """Instead of `hello`: watch a match without a session. Answered by `watching`, or by a close frame that says why not."""

    token: Token  # the session token of a placement, in whatever region
    match: ShortText


class Ack(Message, tag="ack", frozen=True):
    """All critical server messages up to `s` were processed. Send at least every 16 of them."""

    s: Count


class Party(msgspec.Struct, frozen=True):
    """People who queue together: each sends the same id and the full size; the party is matched once all have."""

    id: ShortText
    size: Annotated[int, Meta(ge=2, le=limits.PARTY_MAX)]


class Queue(Message, tag="queue", kw_only=True, frozen=True):
    """Ask for a match."""

    critical: ClassVar[bool] = True
    n: Number = 0
    mode: ShortText
    party: Party | None = None
    attributes: Attributes = {}
    roles: Words = []
    rtt_ms: RoundTrips = {}
    loss: Losses = {}
    blocks: Annotated[list[ShortText], Meta(max_length=limits.TICKET_BLOCKS_MAX)] = []
    away: bool = False  # this client knows `match_away`: it may be matched in another region


class Cancel(Message, tag="cancel", kw_only=True, frozen=True):
    """Leave the queue. Answered by `dequeued`, or by `match_found` where the match came first."""

    critical: ClassVar[bool] = True
    n: Number = 0


class Explain(Message, tag="explain", kw_only=True, frozen=True):
    """Ask why no match has been found yet. Answered by `explained`, not more often than every two seconds."""

    critical: ClassVar[bool] = True
    n: Number = 0


class Accept(Message, tag="accept", kw_only=True, frozen=True):
    """Yes to a `match_offered`. Answered by `match_found` once everybody has said so, or by `match_withdrawn`."""

    critical: ClassVar[bool] = True
    n: Number = 0
    match: ShortText


class Decline(Message, tag="decline", kw_only=True, frozen=True):
    """No to a `match_offered`: the ticket ends with `dequeued`. `cancel` says the same."""

    critical: ClassVar[bool] = True
    n: Number = 0
    match: ShortText


class Join(Message, tag="join", kw_only=True, frozen=True):
    """Take the seat of a `match_found`, on a connection to the URL that it named. Answered by `match_started`."""

    critical: ClassVar[bool] = True
    n: Number = 0
    match: ShortText
    match_token: Token


class Leave(Message, tag="leave", kw_only=True, frozen=True):
    """Leave the match, joined or only found: an NPC takes the seat, and there is no way back. No answer: the next `queue` may
    follow at once."""

    critical: ClassVar[bool] = True
    n: Number = 0


class Ping(Message, tag="ping", frozen=True):
    """Answered at once by `pong` with the same id. A few are answered before the hello, for measuring regions."""

    id: Count


class Bye(Message, tag="bye", frozen=True):
    """The client goes away for good: its session is not kept for a resume."""


ClientMessage = Hello | Watch | Ack | Queue | Cancel | Explain | Accept | Decline | Join | Leave | Ping | Bye


# ---------------------------------------------------------------------------------------------------------- server → client


class ModeInfo(msgspec.Struct, frozen=True):
    name: str
    title: str
    teams: int
    team_size: int
    duration_ms: int


class Welcome(Message, tag="welcome", kw_only=True, frozen=True):
    """The session is open. After a resume, the critical messages after the client's `last_s` follow."""

    session: str
    resume_token: str
    resumed: bool
    received: Count  # the last critical client message that arrived: send later ones again
    player: str
    region: str
    edge: str
    game: str
    tick: Count
    tick_hz: int
    snapshot_hz: int
    server_ms: Count
    heartbeat_ms: int
    resume_ms_max: int
    commands_per_s: int
    frame_bytes_max: int
    modes: list[ModeInfo]


class Queued(Message, tag="queued", kw_only=True, frozen=True):
    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    mode: str


class QueueStatus(Message, tag="queue_status", kw_only=True, frozen=True):
    """About once a second while queued."""

    ticket: str
    waited_ms: Count
    pool: Count  # tickets in the same queue, this one included
    eta_ms: Count | None = None  # None: nobody has been matched in this queue lately


class Dequeued(Message, tag="dequeued", kw_only=True, frozen=True):
    """The ticket ended without a match, and why."""

    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    reason: Reason | None = None  # None: the client asked for it
    detail: Text = ""


class RuleSeen(msgspec.Struct, frozen=True):
    """One rule of the mode as one ticket meets it."""

    rule: str
    excludes: Count
    alone: Count
    next_ms: Count | None = None


class Explained(Message, tag="explained", kw_only=True, frozen=True):
    """Why the ticket is not matched yet. Times are when rules widen if nobody comes or goes: no promise that somebody is there."""

    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    state: ShortText
    text: Text
    waited_ms: Count = 0
    others: Count = 0
    needed: Count = 0
    fits: Count = 0
    first_ms: Count | None = None
    enough_ms: Count | None = None
    eta_ms: Count | None = None
    rules: list[RuleSeen] = []


class MatchOffered(Message, tag="match_offered", kw_only=True, frozen=True):
    """A match is there, in a mode where everybody must say yes: answer by `accept` or `decline` within `accept_ms`. Who is silent
    is out of the queue."""

    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    match: str
    mode: str
    people: Count
    accept_ms: Count


class MatchWithdrawn(Message, tag="match_withdrawn", kw_only=True, frozen=True):
    """The match that was offered is off: somebody did not accept it. You are in the queue again, as if you had never left it."""

    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    match: str
    detail: Text = ""


class MatchFound(Message, tag="match_found", kw_only=True, frozen=True):
    """Join within `join_ms`: on this connection where `url` is the one it was opened with, else on a new one to `url`."""

    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    match: str
    mode: str
    url: str
    match_token: str
    join_ms: int


class MatchAway(Message, tag="match_away", kw_only=True, frozen=True):
    """A match was found in another region. Leave this connection without `bye` and open a session at one of `urls` with `token`
    (`hello` without `resume`), then `join` within `join_ms`. Where that cannot be, come back and resume here: you are in the queue
    again (`match_withdrawn`)."""

    critical: ClassVar[bool] = True
    s: Number = 0
    ticket: str
    match: str
    mode: str
    region: str
    urls: list[str]
    token: str
    match_token: str
    join_ms: int


class RosterSeat(msgspec.Struct, frozen=True):
    seat: int
    team: int
    name: str
    npc: bool = False


class MatchStarted(Message, tag="match_started", kw_only=True, frozen=True):
    """This connection now has a seat: binary snapshots follow, binary commands are taken."""

    critical: ClassVar[bool] = True
    s: Number = 0
    match: str
    mode: str
    seat: int
    team: int
    tick: Count
    duration_ms: int
    roster: list[RosterSeat]


class Roster(Message, tag="roster", kw_only=True, frozen=True):
    """Somebody was given a seat of the match that you play: who has which seat from now on."""

    match: str
    roster: list[RosterSeat]


class Watching(Message, tag="watching", kw_only=True, frozen=True):
    """You watch: binary snapshots with everybody in them follow, `delay_ms` old. The connection is closed with 1000 at the end."""

    match: str
    mode: str
    delay_ms: int
    tick: Count
    tick_hz: int
    snapshot_hz: int
    duration_ms: int
    roster: list[RosterSeat]


class MatchEnded(Message, tag="match_ended", kw_only=True, frozen=True):
    """The match is over. `result` is stored in the region before this is sent: it will reach the ratings."""

    critical: ClassVar[bool] = True
    s: Number = 0
    match: str
    ranks: list[int]
    scores: list[int]
    seat_scores: list[int]
    reason: str


class MatchLost(Message, tag="match_lost", kw_only=True, frozen=True):
    """The process that ran the match died. It is not rated; queue again."""

    critical: ClassVar[bool] = True
    s: Number = 0
    match: str
    detail: Text = ""


class Pong(Message, tag="pong", kw_only=True, frozen=True):
    """The answer to `ping`."""

    id: Count
    tick: Count
    server_ms: Count
    received: Count = 0  # the last critical client message that arrived: earlier ones need not be kept


class Refused(Message, tag="refused", kw_only=True, frozen=True):
    """A message was not acted on. `re` is its tag (or `frame`), `n` its number where it had one: that number is used up,
    except where the reason is `out_of_order` or `malformed`."""

    re: ShortText
    reason: Reason
    detail: Text = ""
    n: Count | None = None
    retry_after_ms: Count | None = None


class Reroute(Message, tag="reroute", kw_only=True, frozen=True):
    """After a match: the way here has become much longer than what the client was placed for. Measure again and ask for a
    placement before the next `queue`; staying is allowed."""

    rtt_ms: Count  # what this connection's round trip is
    placed_ms: Count  # what the client measured when it was placed


class Fallback(Message, tag="fallback", kw_only=True, frozen=True):
    """Which process would go on with the client's match if this one died: the URL to try first then. Empty: nobody would."""

    url: str


class Draining(Message, tag="draining", kw_only=True, frozen=True):
    """This process goes away after `within_ms`. A running match is played to its end; ask for a placement after it."""

    within_ms: Count


ServerMessage = (
    Welcome
    | Queued
    | QueueStatus
    | Dequeued
    | Explained
    | MatchOffered
    | MatchWithdrawn
    | MatchFound
    | MatchAway
    | MatchStarted
    | Roster
    | Watching
    | MatchEnded
    | MatchLost
    | Pong
    | Refused
    | Reroute
    | Fallback
    | Draining
)


class Unknown(msgspec.Struct, frozen=True):
    """A server message that this version does not know, or not one at all. Its `s` counts as processed where it has one."""

    t: str = ""
    s: Count = 0


# ------------------------------------------------------------------------------------------------------------------- codec

_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_unknown_decoder = msgspec.json.Decoder(Unknown)
_encoder = msgspec.json.Encoder()


def tag_of(message: Message) -> str:
    """The `t` of a message."""
    return str(message.__struct_config__.tag)


def encode(message: Message) -> bytes:
    """One message as UTF-8 JSON."""
    return _encoder.encode(message)


def decode_client(data: bytes | memoryview) -> ClientMessage | Refused:
    """A client's message, or a typed refusal. Never raises for what a peer sent."""
    if len(data) > limits.FRAME_BYTES_MAX:
        return Refused(re="frame", reason=Reason.TOO_LARGE, detail=f"at most {limits.FRAME_BYTES_MAX} bytes")
    try:
        return _client_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused(re="frame", reason=Reason.MALFORMED, detail=str(error)[:256])


def decode_server(data: bytes | memoryview) -> ServerMessage | Unknown:
    """A server's message, or what is known of one that is not understood. Never raises for what a peer sent."""
    try:
        return _server_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return _unknown_decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Unknown()
