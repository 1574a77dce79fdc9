"""What operators may do to players and matches of this process, by way of a coordinator's signed questions (asks.py).

A kick ends the session for good: the seat goes to an NPC, the resume token opens nothing, and a new placement brings the player
back. A block (the desired state's `blocked`) is a kick that lasts: whoever is banned or erased holds a session token that is good for
up to an hour, and is turned away with it until it has ended.

The rule of a stopped match: it ends as it stands and is rated for nobody. Its players are told so (`match_ended` with the reason
`stopped`) once the store has it, as after every match, and may queue again.
"""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gameedge.core import limits
from gameedge.core.anticheat.watch import TICK_HZ
from gameedge.core.errors import Reason, RefusedError
from gameedge.core.ids import EdgeId, MatchId, PlayerId
from gameedge.core.tokens import AskClaims
from gameedge.edge.asks import Handler
from gameedge.edge.host import HostedMatch
from gameedge.edge.player import Player
from gameedge.state import questions
from gameedge.state.questions import MatchLive, PlayerHere, SeatLive
from gameedge.telemetry import logs

if TYPE_CHECKING:
    from gameedge.edge.app import Edge

log = logs.get(__name__)


class Steering:
    """Owned by `Edge`; reads and moves its parts."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self.handlers: dict[str, Handler] = {
            "player_here": self._here,
            "player_kick": self._kick,
            "player_records": self._records,
            "player_erase": self._erase,
            "match_live": self._live,
            "match_end": self._end,
            "queue_show": self._queues,
            "queue_explain": self._explain,
            "queue_shadow": self._shadows,
        }

    def block(self, blocked: Mapping[str, int]) -> None:
        """Turn these players away until the given time (Unix ms); those who are here are sent away now."""
        lobby = self._edge.lobby
        lobby.blocked = {PlayerId(player): until_ms for player, until_ms in list(blocked.items())[: limits.BLOCKED_MAX]}
        now_ms = self._edge.clock.unix_ms()
        for player, until_ms in lobby.blocked.items():
            if until_ms > now_ms and lobby.kick(player, "this account is banned or gone"):
                log.info("player_sent_away", player=player)

    # -- players

    def _seen(self, player: Player) -> PlayerHere:
        watching = self._edge.watching
        link = watching.link(player.id)
        return PlayerHere(
            player=player.id,
            name=player.claims.name,
            session=player.session.session,
            connected=player.link is not None,
            mode=player.mode or "",
            match=player.match or "",
            ticket=player.ticket or "",
            rtt_ms=player.link.rtt_ms if player.link is not None else None,
            unjudged=round(link.share, 4) if link is not None and link.judged + link.unjudged > 0 else None,
            unjudged_s=round(link.all_unjudged / TICK_HZ, 1) if link is not None else 0.0,
            judged_s=round(link.all_judged / TICK_HZ, 1) if link is not None else 0.0,
            pool=watching.pool(player.id),
        )

    async def _here(self, claims: AskClaims) -> Any:
        """The player's session in this process; none: an empty list."""
        player = self._edge.players.named(PlayerId(claims.args.get("player", "")))
        return [self._seen(player)] if player is not None else []

    async def _kick(self, claims: AskClaims) -> Any:
        """What was ended."""
        wanted = PlayerId(claims.args.get("player", ""))
        player = self._edge.players.named(wanted)
        seen = [self._seen(player)] if player is not None else []
        if self._edge.lobby.kick(wanted, claims.args.get("detail") or "an operator ended this session"):
            log.info("player_kicked", player=wanted, name=claims.sub)
        if claims.args.get("forget"):  # it is being erased: flags on their way must not bring it back
            self._edge.recorder.forget(wanted)
            for evidence in self._edge.watching.collect(self._edge.clock.unix_ms()):
                if evidence.player != wanted:
                    self._edge.recorder.flag(evidence)
        return seen

    async def _records(self, claims: AskClaims) -> Any:
        return await questions.records(self._edge.store, PlayerId(claims.args.get("player", "")))

    async def _erase(self, claims: AskClaims) -> Any:
        """How many records of the region's store went. A session that is here ends first, or it would write its record again."""
        player = PlayerId(claims.args.get("player", ""))
        if not player:
            raise RefusedError(Reason.MALFORMED, "which player?")
        self._edge.lobby.kick(player, "this account is gone")
        return await self._edge.store.erase_player(player)

    # -- matches

    def _match(self, claims: AskClaims) -> HostedMatch:
        match = self._edge.host.get(MatchId(claims.args.get("match", "")))
        if match is None:
            raise RefusedError(Reason.NOT_FOUND, "no such match in this process (any more)")
        return match

    async def _live(self, claims: AskClaims) -> Any:
        match = self._match(claims)
        info = self._edge.game.info(match.slot)
        names = {seat.seat: seat.name for seat in match.roster}
        return MatchLive(
            match=match.id,
            mode=match.record.mode,
            edge=self._edge.config.edge,
            remaining_ms=info.remaining_ms,
            scores=[int(score) for score in info.scores],
            spectators=self._edge.spectators.watching(match.id),
            adopted=match.adopted,
            seats=[
                SeatLive(
                    seat=seat.seat,
                    team=seat.team,
                    name=names.get(seat.seat, ""),
                    player=seat.ticket.player if seat.ticket is not None else "",
                    here=seat.slot is not None,
                    npc_level=seat.npc_level,
                    npc_style=seat.npc_style,
                )
                for seat in match.seats
            ],
        )

    async def _end(self, claims: AskClaims) -> Any:
        """What the match was like as it was stopped."""
        live = await self._live(claims)
        ended = self._edge.host.stop(self._match(claims).id, self._edge.clock.unix_ms())
        log.info("match_stopped", match=live.match, name=claims.sub)
        self._edge.seating.match_over(ended)
        self._edge.recorder.end(ended)
        return live

    # -- queues

    async def _queues(self, claims: AskClaims) -> Any:
        return await questions.queues(self._edge.store, claims.args.get("mode", ""))

    async def _shadows(self, claims: AskClaims) -> Any:
        return await questions.shadows(self._edge.store, EdgeId(f"ask-{os.getpid()}-{time.monotonic_ns()}"))

    async def _explain(self, claims: AskClaims) -> Any:
        me = EdgeId(f"ask-{os.getpid()}-{time.monotonic_ns()}")
        return await questions.explain(self._edge.store, claims.args.get("who", ""), claims.args.get("mode", ""), me)
