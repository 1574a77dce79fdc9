"""A second rule file beside the live one: compared, and acting on neither."""

from pathlib import Path

import msgspec
import pytest

from gameedge.core.errors import ConfigError
from gameedge.core.matchmaking.rules import load
from gameedge.core.protocol.messages import Queue
from gameedge.edge.explaining import compared
from gameedge.edge.shadow import Compared, Shadow
from gameedge.state.base import InboxEvent
from tests.contract.stores import MODE, ticket

from .parts import ME, bench, ticket_of
from .test_queueing import leading, run_lanes

WIDE = load(f"[modes.{MODE}]\nteams = 2\nteam_size = 1\nskill = {{ window = 100 }}")[MODE]


def test_it_counts_what_it_would_have_matched_and_who_was_faster() -> None:
    shadow = Shadow(MODE, WIDE)
    first, second, third = ticket(1, rating=20.0, created_ms=0), ticket(2, rating=60.0, created_ms=400), ticket(3, created_ms=0)
    shadow.put(first)
    shadow.put(second)
    assert shadow.look(1_000, 0.0, live_edges={first.edge}, fill_ms=0)
    found = shadow.compared()
    assert (found.shadow.matches, found.shadow.people, found.shadow.wait_ms_mean, found.shadow.wait_ms_max) == (1, 2, 800.0, 1_000.0)
    shadow.put(first)  # its player resumed elsewhere: it was matched already, as far as the shadow knows
    assert shadow.compared().waiting == 0
    shadow.gone(first)  # the live rules matched it later
    shadow.put(third)
    shadow.gone(third)
    assert shadow.compared().overtaken == 1, "the live rules were faster with the third"


def test_it_takes_a_small_part_of_the_core() -> None:
    shadow = Shadow(MODE, WIDE)
    shadow.looked(1_000.0, 1_010.0)
    assert not shadow.look(0, 1_100.0, live_edges=(), fill_ms=0)
    assert shadow.look(0, 1_211.0, live_edges=(), fill_ms=0)
    assert shadow.compared().left_out == 1


async def test_beside_the_live_rules(tmp_path: Path) -> None:
    """The live rules keep the two apart, the shadow would not; nobody is matched."""
    live, other = tmp_path / "live.toml", tmp_path / "other.toml"
    live.write_text("[modes.duel]\nskill = { window = 5 }\n")
    other.write_text("[modes.duel]\nskill = { window = 1_000 }\n")
    async with bench(match_rules=str(live), match_rules_shadow=str(other), fill_ms=0) as on:
        connection, _, ada = on.connect("ada")
        on.edge.queueing.ask(ada, Queue(n=1, mode="duel"), 0.0)
        await run_lanes(on)
        far = msgspec.structs.replace(ticket_of(on.connect("bob")[2]), rating=900.0, created_ms=on.edge.clock.unix_ms())
        await on.store.ticket_add(far, 10)
        connection.said()
        await leading(on)
        assert len(await on.store.tickets("duel")) == 2
        assert await on.store.matches("duel") == []
        answer = compared(InboxEvent(kind="compare", edge=ME), on.edge.matcher)
        (seen,) = msgspec.json.decode(answer.detail, type=list[Compared])
        assert (seen.mode, seen.live.matches, seen.shadow.matches, seen.waiting) == ("duel", 0, 1, 0)
        on.edge.reports.refresh()
        text = on.edge.metrics.text().decode()
        assert 'shadow_matches_total{mode="duel",rules="shadow"} 1' in text.replace(".0\n", "\n")
    with pytest.raises(ConfigError, match="match_rules"):
        async with bench(match_rules_shadow=str(tmp_path / "none.toml")):
            pass
