"""A region's store on Redis or Valkey. See `base.RegionStore` for what each method promises.

Keys. Everything of one mode has the hash tag `{mode}`, so that a claim touches one slot of a cluster; every script names keys
of one tag only. `ge:{mode}:` + `tickets` (hash: id to record), `players` (player to ticket), `owners` (ticket to player),
`moved` (ticket to session and process, after a resume elsewhere), `matches`, `members` (match to tickets), `seats` (ticket to
match), `checkpoints` (match to state), `outbox` (stream), `version`, `feed` (stream: which tickets changed at which version),
`gone`, `lease:<name>`, `fence:<name>`, `inbox:<edge>`. `ge:modes` lists the modes.
`ge:session:<resume hash>`, `ge:{player-<id>}:sessions`, `ge:{edges}:*`, `ge:{edge-<id>}:inbox`, `ge:{evidence}:*`.
"""

from collections.abc import Collection, Sequence

import msgspec

from gameedge.core import limits
from gameedge.core.ids import EdgeId, FlagId, MatchId, PlayerId, TicketId
from gameedge.state import positions, redis_inbox
from gameedge.state.base import EdgeRecord, Evidence, InboxEvent, MatchRecord, Result, SessionRecord, StoredResult
from gameedge.state.checks import check_evidence, check_result, lease_pool
from gameedge.state.records import Codec, encode
from gameedge.state.redis_client import Command, script
from gameedge.state.redis_pool import RedisPools, pool_keys

_EVIDENCE = [f"ge:{{evidence}}:{part}" for part in ("records", "clips", "states", "all", "players", "names")]
_EDGES = ["ge:{edges}:expiries", "ge:{edges}:records"]
_ACKS_AT_ONCE = 1_000

_pool = pool_keys


def _moved(record: MatchRecord, host: EdgeId) -> MatchRecord:
    """The record with another host."""
    return msgspec.structs.replace(record, host=host, epoch=record.epoch + 1, accept_ms=0)


class RedisRegionStore(RedisPools):
    """Connects with the first call; `close` when done."""

    def __init__(self, url: str, *, wait_ms: int = limits.STORE_WAIT_MS_MAX, outbox_max: int = limits.OUTBOX_RESULTS_MAX) -> None:
        super().__init__(url, wait_ms, outbox_max)
        counter = self._counter
        self._inboxes = redis_inbox.Inboxes(self._client, counter)
        self._session = Codec(SessionRecord, counter)
        self._match = Codec(MatchRecord, counter)
        self._result = Codec(Result, counter)
        self._edge = Codec(EdgeRecord, counter)
        self._evidence = Codec(Evidence, counter)

    async def modes(self) -> list[str]:
        return sorted(name.decode(errors="replace") for name in await self._client.call(("SMEMBERS", redis_inbox.MODES)))

    # -- sessions

    async def session_put(self, record: SessionRecord, ttl_ms: int) -> None:
        await self.sessions_put([record], ttl_ms)

    async def session_get(self, resume_hash: str) -> SessionRecord | None:
        return (await self.sessions_get([resume_hash]))[0]

    async def sessions_put(self, records: Sequence[SessionRecord], ttl_ms: int) -> None:
        commands: list[Command] = []
        for record in records:
            commands.append(script("session_index")([f"ge:{{player-{record.player}}}:sessions"], record.resume_hash, ttl_ms))
            commands.append(("SET", f"ge:session:{record.resume_hash}", encode(record), "PX", ttl_ms))
        if commands:
            await self._client.pipe(commands)

    async def sessions_get(self, resume_hashes: Sequence[str]) -> list[SessionRecord | None]:
        if not resume_hashes:
            return []
        gets: list[Command] = [("GET", f"ge:session:{resume_hash}") for resume_hash in resume_hashes]
        return [self._session.one(found) for found in await self._client.pipe(gets)]

    async def session_delete(self, resume_hash: str) -> None:
        await self._client.call(("DEL", f"ge:session:{resume_hash}"))

    async def sessions_of(self, player: PlayerId) -> list[SessionRecord]:
        hashes = await self._client.call(("ZRANGE", f"ge:{{player-{player}}}:sessions", 0, -1))
        if not hashes:
            return []
        gets: list[Command] = [("GET", f"ge:session:{name.decode()}") for name in hashes]
        found = map(self._session.one, await self._client.pipe(gets))
        return sorted((record for record in found if record is not None and record.player == player), key=lambda record: record.session)

    # -- leases

    async def lease(self, name: str, owner: EdgeId, ttl_ms: int) -> int | None:
        fence = await self._client.call(script("lease")(_pool(lease_pool(name), f"lease:{name}", f"fence:{name}"), owner, ttl_ms))
        return None if fence is None else int(fence)

    async def lease_owner(self, name: str) -> EdgeId | None:
        owner = await self._client.call(("GET", *_pool(lease_pool(name), f"lease:{name}")))
        return None if owner is None else EdgeId(owner.decode(errors="replace"))

    async def lease_release(self, name: str, owner: EdgeId) -> None:
        await self._client.call(script("lease_release")(_pool(lease_pool(name), f"lease:{name}"), owner))

    # -- matches

    async def match_get(self, mode: str, match: MatchId) -> MatchRecord | None:
        return self._match.one(await self._client.call(("HGET", f"ge:{{{mode}}}:matches", match)))

    async def matches_get(self, mode: str, matches: Sequence[MatchId]) -> list[MatchRecord | None]:
        if not matches:
            return []
        return [self._match.one(found) for found in await self._client.call(("HMGET", f"ge:{{{mode}}}:matches", *matches))]

    async def match_of_ticket(self, mode: str, ticket: TicketId) -> MatchRecord | None:
        return self._match.one(await self._client.call(script("match_of_ticket")(_pool(mode, "seats", "matches"), ticket)))

    async def matches(self, mode: str) -> list[MatchRecord]:
        found = self._match.some(await self._client.call(("HVALS", f"ge:{{{mode}}}:matches")))
        return sorted(found, key=lambda record: (record.created_ms, record.match))

    async def match_unclaim(self, record: MatchRecord, out: Collection[TicketId] = ()) -> bool:
        keys = _pool(record.mode, "matches", "members", "seats", "tickets", "players", "owners", "version", "checkpoints", "feed")
        triples = (part for t in record.tickets for part in (t.id, t.player, b"" if record.guests or t.id in out else encode(t)))
        unclaim = script("match_unclaim")(keys, record.match, limits.FEED_ENTRIES_MAX, record.host, record.epoch, record.joins, *triples)
        return bool(await self._client.call(unclaim))

    async def match_close(self, mode: str, match: MatchId, result: Result | None, *, by: MatchRecord | None = None) -> bool:
        check_result(mode, match, result)
        keys = _pool(mode, "matches", "members", "seats", "outbox", "checkpoints")
        host, epoch = (by.host, by.epoch) if by is not None else ("", 0)
        close = script("match_close")(keys, match, b"" if result is None else encode(result), host, epoch)
        return bool(await self._client.call(close))

    async def checkpoint_put(self, host: EdgeId, mode: str, states: Sequence[tuple[MatchRecord, bytes]]) -> list[bool]:
        if not states:
            return []
        triples = (part for record, state in states for part in (record.match, record.epoch, state))
        kept = await self._client.call(script("checkpoints")(_pool(mode, "matches", "checkpoints"), host, *triples))
        return [bool(each) for each in kept]

    async def checkpoint_get(self, mode: str, match: MatchId) -> bytes | None:
        state = await self._client.call(("HGET", f"ge:{{{mode}}}:checkpoints", match))
        return None if state is None else bytes(state)

    async def match_adopt(self, record: MatchRecord, host: EdgeId, *, tell: bool = False) -> MatchRecord | None:
        adopted = _moved(record, host)
        mode = record.mode
        event = encode(InboxEvent(kind="adopt", match=adopted, match_id=record.match, mode=mode)) if tell else b""
        keys = [*_pool(mode, "matches"), redis_inbox.of_pool(mode, host)]
        bounds = (limits.INBOX_EVENTS_MAX, limits.INBOX_LIFE_MS)
        adopt = script("match_adopt")(keys, record.match, record.host, record.epoch, encode(adopted), event, *bounds, record.joins)
        answer, *_ = await self._client.pipe([adopt, *(redis_inbox.ring(host) if tell else [])])
        return adopted if answer else None

    async def matches_adopt(self, mode: str, records: Sequence[MatchRecord], host: EdgeId) -> list[tuple[MatchRecord, bytes] | None]:
        if not records:
            return []
        moved = [_moved(record, host) for record in records]
        parts = ((old.match, old.host, old.epoch, old.joins, encode(new)) for old, new in zip(records, moved, strict=True))
        adopt = script("matches_adopt")(_pool(mode, "matches", "checkpoints"), *(part for five in parts for part in five))
        states = await self._client.call(adopt)
        return [None if state is None else (new, bytes(state)) for new, state in zip(moved, states, strict=True)]

    # -- inboxes

    async def inbox_post(self, edge: EdgeId, events: Sequence[InboxEvent]) -> None:
        await self._inboxes.post(edge, events)

    async def inbox_read(self, edge: EdgeId, block_ms: int) -> list[InboxEvent]:
        return await self._inboxes.read(edge, block_ms)

    # -- outbox

    async def outbox_read(self, after: str, count: int) -> list[StoredResult]:
        start = positions.parse(after)
        found: list[tuple[positions.Position, Result]] = []
        for mode in await self.modes():
            found.extend(await self._outbox_of(mode, start, count))
        found.sort(key=lambda entry: entry[0])
        return [StoredResult(str(at), result) for at, result in found[:count]]

    async def _outbox_of(self, mode: str, start: positions.Position | None, count: int) -> list[tuple[positions.Position, Result]]:
        """Up to `count` of one mode; behind entries that cannot be read it looks on."""
        found: list[tuple[positions.Position, Result]] = []
        oldest = "-"
        if start is not None:
            # Of equal positions, modes are in order of name: those up to the mode of `after` were seen.
            oldest = f"{'(' if mode <= start.mode else ''}{start.ms}-{start.sequence}"
        while len(found) < count:
            entries = await self._client.call(("XRANGE", f"ge:{{{mode}}}:outbox", oldest, "+", "COUNT", count))
            for at, fields in entries:
                position = positions.parse(f"{at.decode()}@{mode}")
                result = self._result.one(fields.get(b"r", b""))
                if position is not None and result is not None:
                    found.append((position, result))
            if len(entries) < count:
                break
            oldest = f"({entries[-1][0].decode()}"
        return found[:count]

    async def outbox_ack(self, at: Sequence[str]) -> None:
        names: dict[str, list[str]] = {}
        for position in filter(None, map(positions.parse, at)):
            names.setdefault(position.mode, []).append(f"{position.ms}-{position.sequence}")
        commands: list[Command] = [
            ("XDEL", f"ge:{{{mode}}}:outbox", *acked[i : i + _ACKS_AT_ONCE])
            for mode, acked in names.items()
            for i in range(0, len(acked), _ACKS_AT_ONCE)
        ]
        if commands:
            await self._client.pipe(commands)

    async def outbox_size(self) -> int:
        modes = await self.modes()
        sizes = await self._client.pipe([("XLEN", f"ge:{{{mode}}}:outbox") for mode in modes]) if modes else []
        return sum(int(size) for size in sizes)

    # -- processes

    async def edge_beat(self, record: EdgeRecord, ttl_ms: int) -> None:
        await self._client.call(script("edge_beat")(_EDGES, record.edge, encode(record), ttl_ms))

    async def edges(self) -> list[EdgeRecord]:
        return sorted(self._edge.some(await self._client.call(script("edges")(_EDGES))), key=lambda record: record.edge)

    async def edge_ages(self) -> dict[EdgeId, float]:
        found = await self._client.call(script("edge_ages")(_EDGES[:1], limits.EDGE_DEAD_MS))
        return {EdgeId(name.decode(errors="replace")): float(age) for name, age in zip(*[iter(found)] * 2, strict=True)}

    async def edge_forget(self, edge: EdgeId) -> None:
        await self._client.pipe([("ZREM", _EDGES[0], edge), ("HDEL", _EDGES[1], edge)])

    # -- evidence

    async def evidence_add(self, evidence: Evidence) -> None:
        check_evidence(evidence)
        bounds = (limits.EVIDENCE_LIFE_MS, limits.EVIDENCE_PER_PLAYER_MAX, limits.EVIDENCE_TOTAL_MAX)
        record = encode(msgspec.structs.replace(evidence, clip=b""))
        add = script("evidence_add")(_EVIDENCE, evidence.flag, evidence.player, record, evidence.clip, *bounds)
        await self._client.call(add)

    async def evidence_list(self, limit: int) -> list[Evidence]:
        keys = [_EVIDENCE[0], _EVIDENCE[2], _EVIDENCE[3]]
        parts = await self._client.call(script("evidence_list")(keys, max(0, limit), limits.EVIDENCE_LIFE_MS))
        found = [self._with(record, state, b"") for record, state in zip(*[iter(parts)] * 2, strict=True)]
        return [evidence for evidence in found if evidence is not None]

    def _with(self, record: bytes | None, state: bytes | None, clip: bytes | None) -> Evidence | None:
        evidence = self._evidence.one(record)
        if evidence is None:
            return None
        said = state.decode(errors="replace") if state else evidence.state
        return msgspec.structs.replace(evidence, state=said, clip=clip or b"")

    async def evidence_get(self, flag: FlagId) -> Evidence | None:
        record, clip, state = await self._client.pipe([("HGET", key, flag) for key in _EVIDENCE[:3]])
        return self._with(record, state, clip)

    async def evidence_set_state(self, flag: FlagId, state: str) -> bool:
        return bool(await self._client.call(script("evidence_state")([_EVIDENCE[0], _EVIDENCE[2]], flag, state)))

    async def evidence_decide(self, flag: FlagId, state: str, expected: str) -> str | None:
        before = await self._client.call(script("evidence_decide")([_EVIDENCE[0], _EVIDENCE[2]], flag, state, expected))
        return before.decode(errors="replace") if before is not None else None

    async def erase_player(self, player: PlayerId) -> int:
        index = f"ge:{{player-{player}}}:sessions"
        hashes, evidence = await self._client.pipe([("ZRANGE", index, 0, -1), script("evidence_erase")(_EVIDENCE, player)])
        sessions: list[Command] = [("DEL", f"ge:session:{name.decode()}") for name in hashes]
        gone = await self._client.pipe([*sessions, ("DEL", index)])
        return int(evidence) + sum(int(count) for count in gone[:-1])
