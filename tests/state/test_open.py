"""From URLs to stores."""

import pytest

from gameedge.core.errors import ConfigError
from gameedge.core.ids import EdgeId, PlayerId, SessionId, TicketId
from gameedge.state.base import Ticket
from gameedge.state.checks import lease_pool
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge.state.open import open_global_store, open_region_store
from gameedge.state.redis_client import _known
from gameedge.state.redis_global import RedisGlobalStore
from gameedge.state.redis_region import RedisRegionStore
from gameedge.state.redis_urls import Place, parse


async def test_kinds() -> None:
    assert isinstance(open_region_store("memory://"), MemoryRegionStore)
    assert isinstance(open_global_store("memory://"), MemoryGlobalStore)
    for url in (
        "redis://127.0.0.1:1",
        "rediss://127.0.0.1:1/3",
        "redis://:secret@localhost",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "rediss+cluster://user:secret@localhost",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster/2?sentinel_password=x",
    ):
        region, overall = open_region_store(url), open_global_store(url)
        assert isinstance(region, RedisRegionStore)
        assert isinstance(overall, RedisGlobalStore)
        await region.close()
        await overall.close()


async def test_named_memory_is_shared_and_unnamed_is_not() -> None:
    ticket = Ticket(id=TicketId("t"), player=PlayerId("p"), session=SessionId("s"), edge=EdgeId("a"), mode="duel")
    await open_region_store("memory://tests-open").ticket_add(ticket, 1)
    assert await open_region_store("memory://tests-open").tickets("duel") == [ticket]
    await open_region_store("memory://").ticket_add(ticket, 1)
    assert await open_region_store("memory://").tickets("duel") == []
    assert open_global_store("memory://tests-open") is open_global_store("memory://tests-open")


def test_what_a_url_says() -> None:
    assert parse("redis://localhost") == Place("single", False, (("localhost", 6379),))
    assert parse("rediss://u:p%40ss@[::1]:7/3") == Place("single", True, (("::1", 7),), "u", "p@ss", 3)
    assert parse("redis+cluster://:x@a:1,b") == Place("cluster", False, (("a", 1), ("b", 6379)), None, "x")
    said = parse("redis+sentinel://a,b:2/main/1?sentinel_password=y")
    assert said == Place("sentinel", False, (("a", 26379), ("b", 2)), db=1, master="main", sentinel_password="y")
    assert str(said) == "a:26379,b:2/main"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://a:1", "NAME"),
        ("redis+sentinel://a:1/", "NAME"),
        ("redis+cluster://a:1/2", "one database"),
        ("redis://a:99999", "65535"),
        ("redis://a:1/x", "database"),
        ("redis://", "host:port"),
        ("redis+cluster://a:1,,b:2", "host:port"),
        ("redis://a:1?timeout=3", "option"),
        ("redis+cluster+sentinel://a:1", "scheme"),
    ],
)
def test_what_is_wrong_with_a_url(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_region_store(url)


@pytest.mark.parametrize("url", ["", "redis", "http://localhost", "memory", "redis://localhost:notaport"])
def test_other_urls_are_refused_with_the_forms_that_work(url: str) -> None:
    for opener in (open_region_store, open_global_store):
        with pytest.raises(ConfigError, match="redis"):
            opener(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@localhost:notaport",
        "redis://:what?hunter2@localhost:6379/0",  # a ? that should have been written %3F
        "redis://hunter2?x@localhost",
        "redis:user:hunter2@localhost",
        "redis:/u:hunter2@localhost",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_region_store(url)
    assert "hunter2" not in str(caught.value)


def test_functions_are_there_and_explain_themselves() -> None:
    names = {script.name for script in _known()}
    assert {"claim", "match_close", "lease", "ticket_add"} <= names
    assert all(script.text.startswith("--") for script in _known())


def test_the_pool_of_a_lease() -> None:
    assert lease_pool("matcher-free-for-all") == "free-for-all"
    assert lease_pool("relay") == "relay"
