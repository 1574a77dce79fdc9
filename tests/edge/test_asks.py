"""Questions of a coordinator: also one whose answer does not fit into a message is answered."""

import msgspec

from gameedge.bus import topics
from gameedge.bus.payloads import Answer, Codec
from gameedge.core.errors import Reason
from gameedge.core.ids import EdgeId, MatchId, TicketId
from gameedge.state.base import MatchRecord

from .parts import ME, REGION, SIGNER, Bench, bench, ticket_of

BUILD = {"build": "y" * 64}


async def asked(on: Bench, number: str, **args: str) -> Answer:
    now_ms = on.edge.clock.unix_ms()
    token = SIGNER.ask(REGION, EdgeId(ME), "matches", args, who="op", number=number, reply="c1", now_ms=now_ms, life_ms=30_000)
    async with on.edge.bus.subscribe(topics.answers("c1")) as answers:
        await on.edge.asks._hear(token.encode())
        answer = Codec(Answer).decode((await anext(answers)).payload)
    assert answer is not None
    return answer


async def test_an_answer_that_is_too_large_is_said_to_be() -> None:
    async with bench() as on:
        _, _, ada = on.connect("ada")
        for number in range(120):
            tickets = [
                msgspec.structs.replace(
                    ticket_of(ada), id=TicketId(f"t_{number:08d}_{seat:08d}"), name="x" * 32, attributes={"build": "y" * 64}
                )
                for seat in range(12)
            ]
            record = on.record(f"m_{number}", ada, created_ms=number)
            on.store._pool("duel").matches[MatchId(f"m_{number}")] = msgspec.structs.replace(record, tickets=tickets)
        answer = await asked(on, "number-1", limit="120")
        assert (answer.ok, answer.reason) == (False, Reason.TOO_LARGE)
        assert "limit" in answer.detail
        answer = await asked(on, "number-2", limit="20")
        assert answer.ok
        found = msgspec.msgpack.decode(answer.body, type=list[MatchRecord])
        assert [record.match for record in found] == [f"m_{number}" for number in range(119, 99, -1)], "the newest first"
