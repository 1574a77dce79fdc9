"""The generated parts of docs/protocol.md: every message, reason, close code and bound, from the types that servers use."""

import re
from collections.abc import Iterable
from typing import Final, get_args

import msgspec
from msgspec import inspect

from gameedge.core import limits
from gameedge.core.errors import Reason
from gameedge.core.protocol import messages
from gameedge.core.protocol.close import CLOSE_CODES, Retry, retry_after
from gameedge.core.protocol.messages import ClientMessage, Message, ServerMessage
from gameedge.core.protocol.rates import CONTROL_TAGS

PARTS: Final = ("client-messages", "server-messages", "structs", "close-codes", "budgets")
_THEN: Final = {
    Retry.RESUME: "connect again and resume",
    Retry.PLACE: "ask for a placement, then resume with its token",
    Retry.NEVER: "do not repeat it: a program or a person has to change something",
}
_MEANING: Final = {
    Reason.MALFORMED: "not the documented form",
    Reason.TOO_LARGE: "over the documented size",
    Reason.TOO_OFTEN: "over a rate budget",
    Reason.UNSUPPORTED: "a mode, party or version that this server does not have",
    Reason.OUT_OF_ORDER: "a message that this state of the session does not take",
    Reason.REPLAYED: "a number that was already used",
    Reason.TOKEN_INVALID: "signature, issuer or form of a token, or a match token of somebody else",
    Reason.TOKEN_EXPIRED: "the session token is too old",
    Reason.WRONG_REGION: "the session token is for another region",
    Reason.NOT_FOUND: "no such match, ticket or player",
    Reason.ALREADY_QUEUED: "cancel first",
    Reason.IN_MATCH: "leave the match first",
    Reason.POOL_FULL: "the queue is at its limit; try later",
    Reason.SERVER_FULL: "no room in this process",
    Reason.UNAVAILABLE: "the region's store cannot be reached; running matches go on",
    Reason.DRAINING: "this process is going away",
    Reason.MATCH_LOST: "the process that ran the match died",
    Reason.REPLACED: "the same player connected elsewhere",
    Reason.IDLE: "nothing was heard for too long",
    Reason.SLOW: "the connection did not take what was sent, or messages were not acknowledged",
    Reason.PARTY_LEFT: "a member of the party left the queue; a reason of `dequeued`, no connection is closed with it",
    Reason.FORBIDDEN: "not allowed for this account",
    Reason.INTERNAL: "the server's fault; it was logged",
}


def splice(text: str) -> str:
    """The page with its generated parts as they should be. A part whose marks are missing stays out, and a test notices."""
    for name in PARTS:
        begin, end = marks(name)
        if begin in text and end in text:
            before, rest = text.split(begin, 1)
            text = f"{before}{begin}\n\n{part(name)}\n\n{end}{rest.split(end, 1)[1]}"
    return text


def marks(name: str) -> tuple[str, str]:
    return f"<!-- generated: {name}; `make docs` writes it, do not edit by hand -->", f"<!-- end of {name} -->"


def part(name: str) -> str:
    """One generated part as Markdown."""
    match name:
        case "client-messages":
            return "\n\n".join(_message(kind) for kind in get_args(ClientMessage))
        case "server-messages":
            return "\n\n".join(_message(kind) for kind in get_args(ServerMessage))
        case "structs":
            kinds: tuple[type[msgspec.Struct], ...] = (messages.Party, messages.ModeInfo, messages.RuleSeen, messages.RosterSeat)
            return "\n\n".join(f"#### {kind.__name__}\n\n{_doc(kind)}{_fields(kind)}" for kind in kinds)
        case "close-codes":
            rows = [(f"{code}", f"`{reason}`", _MEANING[reason], _THEN[retry_after(code)]) for reason, code in CLOSE_CODES.items()]
            return _table(("code", "reason", "meaning", "then"), rows)
    return _budgets()


def _message(kind: type[Message]) -> str:
    critical = ", critical" if kind.critical else ""
    return f"#### `{kind.__struct_config__.tag}`{critical}\n\n{_doc(kind)}{_fields(kind)}"


def _doc(kind: type) -> str:
    """The class's own docstring as a paragraph; empty where it only has its base's."""
    text = " ".join((kind.__dict__.get("__doc__") or "").split())
    return f"{text}\n\n" if text and not text.startswith(f"{kind.__name__}(") else ""


def _default(field: inspect.Field) -> object:
    """Mutable ones are made anew for each message."""
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def _fields(kind: type[msgspec.Struct]) -> str:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    notes = _notes()
    rows = []
    for field in info.fields:
        numbered = field.name in ("s", "n") and getattr(kind, "critical", False)
        default = "required" if field.required or numbered else f"`{msgspec.json.encode(_default(field)).decode()}`"
        rows.append((f"`{field.encode_name}`", _type(field.type), default, notes.get((kind.__name__, field.name), "")))
    return _table(("field", "type", "default", "meaning"), rows) if rows else "No fields."


def _notes() -> dict[tuple[str, str], str]:
    """What the source says beside each field: (type, field) → words."""
    return {(kind, name): words for kind, fields in FIELD_NOTES.items() for name, words in fields.items()}


def _type(kind: inspect.Type) -> str:
    """A type in words, bounds included."""
    match kind:
        case inspect.Metadata():
            return _type(kind.type)
        case inspect.UnionType():
            return " or ".join(_type(one) for one in kind.types)
        case inspect.NoneType():
            return "null"
        case inspect.BoolType():
            return "true or false"
        case inspect.EnumType():
            return "a reason (see below)"
        case inspect.StructType():
            return f"object [{kind.cls.__name__}](#{kind.cls.__name__.lower()})"
        case inspect.ListType():
            return f"list of {_most(kind.max_length)}{_type(kind.item_type)}"
        case inspect.DictType():
            return f"object of {_most(kind.max_length)}{_type(kind.key_type)} → {_type(kind.value_type)}"
        case inspect.FloatType():
            return "number" + (f", {kind.ge:g} to {kind.le:g}" if kind.ge is not None and kind.le is not None else "")
        case inspect.StrType():
            return "text" + (f", at most {kind.max_length} characters" if kind.max_length is not None else "")
        case inspect.IntType():
            top = "2^53 - 1" if kind.le == 2**53 - 1 else kind.le
            return "integer" + (f", {kind.ge} to {top}" if kind.ge is not None and kind.le is not None else "")
    raise TypeError(f"{kind}: say in protocol_docs how this type reads")


def _most(count: int | None) -> str:
    return "" if count is None else f"at most {count} "


def _budgets() -> str:
    control = ", ".join(f"`{tag}`" for tag in CONTROL_TAGS)
    rows = [
        ("one text or binary message from a client", f"{limits.FRAME_BYTES_MAX} bytes", "close 1009 or 4001"),
        ("first message after the connection is open", f"within {limits.HANDSHAKE_MS_MAX} ms", "close 4018"),
        ("`ping` before the hello", f"{limits.BEACON_PINGS_MAX}", "close 4002"),
        (f"{control}: each", f"{limits.CONTROL_PER_S} a second, bursts of {limits.CONTROL_BURST}", "`refused` with `too_often`"),
        ("binary commands", f"{limits.COMMANDS_PER_S} a second, bursts of {limits.COMMANDS_BURST}", "dropped without a word"),
        ("binary commands over that budget", f"{limits.COMMANDS_DROPPED_MAX} within 10 s", "close 4002"),
        (
            "WebSocket pings, pongs and empty fragments, together",
            f"{limits.CONTROL_FRAMES_PER_S} a second, bursts of {limits.CONTROL_FRAMES_BURST}",
            "close 1008",
        ),
        ("refusals", f"{limits.REFUSALS_MAX} within 10 s", "close 4002"),
        ("critical messages that you have not acknowledged", f"{limits.UNACKED_MESSAGES_MAX}", "close 4019, the session ends"),
        ("silence (no frame at all, WebSocket pongs count)", f"{limits.IDLE_MS_MAX} ms", "close 4018; resume"),
        ("time without a connection", f"{limits.RESUME_MS_MAX} ms", "the session is forgotten"),
        ("snapshots waiting in your socket", f"{limits.WRITE_BUFFER_BYTES_SKIP} bytes", "snapshots are skipped"),
        ("anything waiting in your socket", f"{limits.WRITE_BUFFER_BYTES_MAX} bytes", "close 4019"),
        ("taking a seat after `match_found`", f"{limits.JOIN_MS_MAX} ms", "an NPC plays; a match nobody joined is abandoned"),
        ("spectators", f"{limits.SPECTATORS_PER_MATCH_MAX} a match, {limits.SPECTATORS_MAX} a process", "close 4013"),
        ("a ticket in the queue", f"{limits.TICKET_MS_MAX // 1000} s", "`dequeued` with `not_found`"),
    ]
    return _table(("what", "bound", "beyond it"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(re.sub(r"(?<!\\)\|", "\\|", cell) for cell in line) + " |" for line in lines)


_N: Final = "its number: 1, 2, 3, ... without gaps within a session"
_S: Final = "its number: 1, 2, 3, ... without gaps within a session; acknowledge it"
_WHICH: Final = "of the ticket"
FIELD_NOTES: Final[dict[str, dict[str, str]]] = {
    "Hello": {
        "token": "the session token of the placement",
        "resume": "the resume token of the last `welcome`: an earlier session goes on",
        "last_s": "the last critical server message that was processed",
        "client": "what is connecting, for the operator's logs",
    },
    "Watch": {"token": "the session token of a placement, in whatever region", "match": "of `GET /v1/matches`"},
    "Ack": {"s": "every critical message up to this one was processed"},
    "Queue": {
        "n": _N,
        "mode": "a name of `welcome.modes`",
        "party": "people who want to play together",
        "attributes": "what the mode's rules look at: numbers, words or lists of words; those that no rule looks at are ignored",
        "roles": "that you would play, where the mode has roles; left out: any",
        "rtt_ms": "round trips to regions, where the mode's rules look at them; left out: those that your placement was made by. A "
        "region never counts as nearer than your placement or this process found it",
        "loss": "share of packets that are lost, by region; left out: none",
        "blocks": "players whom you will not be matched with, nor they with you",
        "away": "you know `match_away`: where your region has nobody for you, you may be matched in another one",
    },
    "Cancel": {"n": _N},
    "Explain": {"n": _N},
    "Accept": {"n": _N, "match": "of `match_offered`"},
    "Decline": {"n": _N, "match": "of `match_offered`"},
    "Join": {"n": _N, "match": "of `match_found`", "match_token": "of `match_found`"},
    "Leave": {"n": _N},
    "Ping": {"id": "comes back in the `pong`"},
    "Party": {"id": "the same for all of them; draw it at random", "size": "how many they are"},
    "ModeInfo": {
        "name": "what `queue` asks for",
        "title": "for people",
        "teams": "how many",
        "team_size": "players of one team",
        "duration_ms": "the longest a match takes",
    },
    "Welcome": {
        "session": "names the session in the operator's logs",
        "resume_token": "goes into the next `hello`; keep it secret",
        "resumed": "false: this is a new session, numbers begin at 1 on both sides",
        "received": "the last `n` that arrived: send later ones again",
        "player": "your player id",
        "region": "where this is",
        "edge": "which process of the region",
        "game": "which game is hosted: the layout of payloads follows from it",
        "tick": "the process's tick now",
        "tick_hz": "ticks a second",
        "snapshot_hz": "snapshots a second",
        "server_ms": "the process's clock now; it begins anywhere, and elsewhere in another process",
        "heartbeat_ms": "ping this often",
        "resume_ms_max": "how long a session without a connection is kept",
        "commands_per_s": "how many commands are taken",
        "frame_bytes_max": "the largest message that is taken",
        "modes": "what can be played here",
    },
    "Queued": {"s": _S, "ticket": "names the place in the queue", "mode": _WHICH},
    "QueueStatus": {
        "ticket": "as in `queued`",
        "waited_ms": "so far",
        "pool": "tickets in the same queue, this one included",
        "eta_ms": "how much longer it may take; left out: nobody has been matched here lately",
    },
    "Dequeued": {"s": _S, "ticket": "as in `queued`", "reason": "left out: you asked for it with `cancel`", "detail": "for people"},
    "RuleSeen": {
        "rule": "its name in the operator's rules, such as `skill`, `latency` or `equal platform`",
        "excludes": "people in the queue whom it keeps apart from this ticket",
        "alone": "of them, those whom no other rule excludes",
        "next_ms": "in how long waiting alone makes it admit somebody more; left out: waiting does not change it",
    },
    "Explained": {
        "s": _S,
        "ticket": "as in `queued`",
        "state": "`party`: a member is missing; `stuck`: never as it is; `alone`: too few people, whatever widens; `widening`: enough "
        "once rules have widened; `gathering`: a match waits a moment for better company; `next`: enough fit, others waited longer; "
        "`unknown`: it was matched or cancelled a moment ago",
        "text": "for people",
        "waited_ms": "so far",
        "others": "people in the same queue",
        "needed": "more people for a match",
        "fits": "of the others, those whom every rule admits now",
        "first_ms": "in how long somebody fits, if nobody comes or goes; left out: never by waiting",
        "enough_ms": "in how long as many as are needed fit; left out: never by waiting",
        "eta_ms": "as in `queue_status`",
        "rules": "those that exclude somebody, most first",
    },
    "MatchOffered": {
        "s": _S,
        "ticket": "as in `queued`",
        "match": "names the match; goes into `accept` or `decline`",
        "mode": "of the match",
        "people": "who are asked, you included",
        "accept_ms": "how long you have, from now",
    },
    "MatchWithdrawn": {"s": _S, "ticket": "as in `queued`", "match": "as in `match_offered`", "detail": "for people"},
    "MatchFound": {
        "s": _S,
        "ticket": "as in `queued`; empty where the ticket is not known any more",
        "match": "names the match",
        "mode": "of the match",
        "url": "where to join: the process that hosts it",
        "match_token": "goes into `join`; good for this player and match alone",
        "join_ms": "an NPC plays your seat until you have joined; a match that nobody joined by then is abandoned",
    },
    "MatchAway": {
        "s": _S,
        "ticket": "as in `queued`",
        "match": "names the match",
        "mode": "of the match",
        "region": "where it is played",
        "urls": "of that region's processes, the host's first",
        "token": "your session token there, for `hello`",
        "match_token": "goes into `join`",
        "join_ms": "how long the seat is kept, from now; your ticket here is kept a little longer",
    },
    "RosterSeat": {
        "seat": "as in snapshots",
        "team": "as in snapshots",
        "name": "for people",
        "npc": "nobody's seat; a player's seat is played by an NPC while they are away, see the flag in snapshots",
    },
    "MatchStarted": {
        "s": _S,
        "match": "as in `match_found`",
        "mode": "of the match",
        "seat": "yours",
        "team": "yours",
        "tick": "the process's tick now; `seen_tick` until the first snapshot",
        "duration_ms": "of the whole match; snapshots say what is left",
        "roster": "all seats",
    },
    "Roster": {"match": "which", "roster": "all seats"},
    "Watching": {
        "match": "as asked for",
        "mode": "of the match",
        "delay_ms": "how old the snapshots are",
        "tick": "the process's tick now; the first snapshot has about this one, and comes `delay_ms` later",
        "tick_hz": "ticks a second",
        "snapshot_hz": "snapshots a second",
        "duration_ms": "of the whole match; snapshots say what is left",
        "roster": "all seats",
    },
    "MatchEnded": {
        "s": _S,
        "match": "which",
        "ranks": "by team: 0 is the winner, equal ranks are a draw",
        "scores": "by team; a mode's NPCs (waves) are the last team",
        "seat_scores": "by seat; empty where the match was abandoned",
        "reason": "the game's word; the arena: `finished`, `survived`, `overrun`; any game: `abandoned`, `stopped` (by an operator)",
    },
    "MatchLost": {"s": _S, "match": "which", "detail": "for people"},
    "Pong": {
        "id": "of the `ping`",
        "tick": "the process's tick",
        "server_ms": "the process's clock, as in `welcome`",
        "received": "the last `n` that arrived: earlier ones need not be kept",
    },
    "Refused": {
        "re": "the tag of what was refused; `frame`: it could not be read",
        "reason": "a stable word",
        "detail": "for people: what to do",
        "n": "its number, where it had one",
        "retry_after_ms": "when it is worth trying again",
    },
    "Reroute": {"rtt_ms": "of this connection", "placed_ms": "as measured when it was placed"},
    "Fallback": {"url": "of another process of the region, or empty"},
    "Draining": {"within_ms": "the process ends by then"},
}
