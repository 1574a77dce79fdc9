"""What `gameedge admin doctor` looks at in the parts of a deployment: stores, broker, coordinators, edge processes and their keys.

Each check gives findings; one that fails by itself is a finding, too. Nothing is changed anywhere.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import httpx
import msgspec

from gameedge import __version__
from gameedge.bus import topics
from gameedge.config import CoordinatorConfig, EdgeConfig
from gameedge.core.errors import ConfigError, GameEdgeError, RefusedError

if TYPE_CHECKING:
    from gameedge.state.examine import StoreSeen

Level = Literal["ok", "note", "warning", "fault"]
ANSWER_S: Final = 3.0
CLOCK_MS: Final = 2_000.0  # apart: tokens and waits begin to be wrong
CLOCK_MS_MAX: Final = 30_000.0
SLOW_MS: Final = 50.0  # of a store: every claim waits for it
LATE_MS: Final = 20.0
REDIS_MIN: Final = 7


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`found` says what is so, `do` what helps (empty: nothing needs to be done)."""

    check: str
    subject: str
    level: Level
    found: str
    do: str = ""


def ok(check: str, subject: str, found: str) -> Finding:
    return Finding(check=check, subject=subject, level="ok", found=found)


def fault(check: str, subject: str, found: str, do: str) -> Finding:
    return Finding(check=check, subject=subject, level="fault", found=found, do=do)


def warning(check: str, subject: str, found: str, do: str) -> Finding:
    return Finding(check=check, subject=subject, level="warning", found=found, do=do)


def broken(error: Exception) -> list[Finding]:
    """A check that failed by itself."""
    text = f"a check of the doctor failed: {type(error).__name__}: {error}"
    return [fault("doctor", "itself", text, "look at what it names; the other findings stand")]


async def together(*jobs: Awaitable[list[Finding]]) -> list[Finding]:
    """All findings, in the order of the jobs; one that raises is a finding, too."""
    found: list[Finding] = []
    for said in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(said, BaseException) and not isinstance(said, Exception):
            raise said
        found += broken(said) if isinstance(said, Exception) else said
    return found


# ------------------------------------------------------------------------------------------------------------------- stores


async def store(name: str, url: str) -> list[Finding]:
    """Redis or Valkey."""
    from gameedge.state.examine import examine, where_of  # here, or every command and every TAB would wait for it

    if url.startswith("memory://"):
        return [warning("store", name, "memory:// keeps everything within one process", "name a redis:// for more than a trial")]
    try:
        seen = await examine(url)
    except ConfigError as error:
        return [fault("store", name, str(error), "correct `redis` in its configuration")]
    except GameEdgeError as error:
        return [fault("store", name, str(error), f"start Redis at {where_of(url)}, or correct `redis`; nobody is matched or placed by it")]
    return list(_of_store(name, seen))


def _of_store(name: str, seen: "StoreSeen") -> Iterable[Finding]:
    about = f"{seen.server or 'store'} {seen.version} at {seen.where}, {seen.ping_ms:.1f} ms"
    yield ok("store", name, about)
    if seen.ping_ms > SLOW_MS:
        yield warning("store", name, f"it takes {seen.ping_ms:.0f} ms to answer", "put it beside its processes; every claim waits for it")
    if seen.role not in ("", "master"):
        yield fault("store", name, f"it is a {seen.role}: it takes no writes", "name the master, or use redis+sentinel://")
    major = seen.version.partition(".")[0]
    if seen.server == "redis" and major.isdigit() and int(major) < REDIS_MIN:
        yield fault("store", name, f"Redis {seen.version}; functions of 7 are used", "use Redis 7, or any Valkey")
    if seen.append_only == "no":
        text = "it keeps nothing on disk: a restart loses accounts, ratings, evidence and results"
        yield warning("store", name, text, "set appendonly yes and appendfsync always (docs/operations.md)")
    if seen.policy not in ("", "noeviction"):
        text = f"maxmemory-policy {seen.policy}: it drops records when it is full"
        yield fault("store", name, text, "set maxmemory-policy noeviction")
    if seen.max_bytes and seen.used_bytes > 0.9 * seen.max_bytes:
        yield warning(
            "store", name, f"{seen.used_bytes / seen.max_bytes:.0%} of its memory is used", "raise maxmemory: full, it refuses writes"
        )
    if seen.ahead_ms is not None:
        yield clock(f"{name}'s server", seen.ahead_ms)


def clock(subject: str, ahead_ms: float) -> Finding:
    """Of another machine, against ours."""
    text = f"{abs(ahead_ms):.0f} ms {'ahead of' if ahead_ms > 0 else 'behind'} this machine"
    if abs(ahead_ms) <= CLOCK_MS:
        return ok("clock", subject, text)
    do = "let both keep time by NTP (chrony, systemd-timesyncd): tokens, leases and waits are measured by clocks"
    return (fault if abs(ahead_ms) > CLOCK_MS_MAX else warning)("clock", subject, text, do)


# ------------------------------------------------------------------------------------------------------------------- broker


async def broker(name: str, url: str) -> list[Finding]:
    """A message there and back."""
    from gameedge.bus.open import open_bus

    if url.startswith("memory://"):
        return [warning("broker", name, "memory:// reaches nobody outside of one process", "name an mqtt:// for more than a trial")]
    try:
        where = _without_password(url)
    except ValueError as error:
        return [fault("broker", name, f"`bus` is no address: {error}", "write mqtt://host:port")]
    do = f"start the MQTT broker at {where}, or correct `bus`; without it regions are not steered and ratings stand still"
    number = secrets.token_hex(8)
    topic = topics.answers(f"doctor-{number}")
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_S), open_bus(url)(f"doctor-{number}") as bus:
            while not bus.online:
                await asyncio.sleep(0.02)
            async with bus.subscribe(topic) as messages:
                talk = asyncio.create_task(_say_until(bus, topic, number.encode()), name="doctor-says")
                try:
                    async for message in messages:
                        if message.payload == number.encode():
                            break
                finally:
                    talk.cancel()
    except ConfigError as error:
        return [fault("broker", name, str(error), "correct `bus` in its configuration")]
    except TimeoutError:
        return [fault("broker", name, f"no message came back through {where} within {ANSWER_S:.0f} s", do)]
    except (GameEdgeError, OSError) as error:
        return [fault("broker", name, f"{where}: {error}", do)]
    return [ok("broker", name, f"{where}: a message there and back, {(time.perf_counter() - began) * 1000:.0f} ms with the connection")]


async def _say_until(bus: Any, topic: str, payload: bytes) -> None:
    while True:  # a subscription is confirmed when it is; what was said before is not heard
        with contextlib.suppress(RefusedError):
            await bus.publish(topic, payload)
        await asyncio.sleep(0.1)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or "?"
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"


# ------------------------------------------------------------------------------------------------------------- coordinators


async def coordinator(client: httpx.AsyncClient, name: str, url: str) -> list[Finding]:
    """Whether it answers, and whether its store and its broker are there."""
    try:
        answer = await client.get(f"{url}/readyz")
        health = answer.json()
        assert isinstance(health, dict)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"no answer at {url} ({str(error) or type(error).__name__})"
        return [fault("coordinator", name, text, "start it: gameedge coordinator --config FILE; or give the right --url")]
    except (ValueError, AssertionError):
        return [fault("coordinator", name, f"what answers at {url} is no coordinator", "give the right --url")]
    if answer.status_code == 200:
        return [ok("coordinator", name, f"{url} answers; its store and its broker are there")]
    wrong = [f"{part}: {health.get(key)}" for key, part in (("store", "its store"), ("bus", "its broker")) if health.get(key) != "ok"]
    do = "see the findings on stores and broker, or its log"
    return [fault("coordinator", name, f"{url} answers, but {', '.join(wrong)}", do)]


async def admin_api(client: httpx.AsyncClient, url: str, token: str) -> tuple[list[Finding], dict[str, Any] | None]:
    """Whether the token is good; and the status, where it is."""
    if not token:
        return [warning("token", url, "no operator token was given", "give --token or set GAMEEDGE_TOKEN to have processes checked")], None
    headers = {"authorization": f"Bearer {token}"}
    try:
        me = await client.get(f"{url}/v1/admin/me", headers=headers)
        if me.status_code != 200:
            said = me.json().get("detail", "") if me.headers.get("content-type", "").startswith("application/json") else ""
            return [fault("token", url, f"refused: {said or me.status_code}", "ask an owner for a token, or correct operator_token")], None
        began = time.time() * 1000
        answer = await client.get(f"{url}/v1/admin/status", headers=headers)
        now = (began + time.time() * 1000) / 2
        if answer.status_code != 200:
            return [fault("coordinator", url, f"it does not say its status ({answer.status_code})", "look at its log")], None
        status = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeEncodeError):
        return [], None  # said by `coordinator`
    mine = me.json()
    found = [ok("token", url, f"{mine['name']}, {mine['role']}"), clock("the coordinator", status["coordinator"]["now_ms"] - now)]
    found.append(version("the coordinator", status["coordinator"]["version"]))
    return found, status


def version(subject: str, theirs: str) -> Finding:
    if theirs == __version__:
        return ok("version", subject, theirs)
    return warning(
        "version",
        subject,
        f"{theirs or 'unknown'}, this is {__version__}",
        "bring both to one release",
    )


def keys(signing: set[str], configs: Iterable[tuple[str, EdgeConfig]]) -> list[Finding]:
    """Whether edges trust the key that the coordinators sign with."""
    found = []
    for name, config in configs:
        if signing & {key.strip().rstrip("=") for key in config.token_keys}:
            found.append(ok("keys", name, "it trusts the coordinators' signing key"))
        else:
            do = "put what `gameedge keys --config COORDINATOR.toml` prints into its token_keys; it turns every player away"
            found.append(fault("keys", name, "none of its token_keys is the coordinators' signing key", do))
    return found


async def signing_keys(client: httpx.AsyncClient, url: str) -> set[str]:
    """The coordinators' public keys; empty where none answers."""
    try:
        answer = (await client.get(f"{url}/.well-known/jwks.json")).json()
        return {key["x"] for key in answer["keys"]}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return set()


# ------------------------------------------------------------------------------------------------------------------ processes


def processes(status: dict[str, Any], configs: Iterable[tuple[str, EdgeConfig]]) -> list[Finding]:
    """Edge processes as the coordinator sees them, and those that should be there."""
    found: list[Finding] = []
    seen = {(region["region"], edge["edge"]): edge for region in status["regions"] for edge in region["edges"]}
    wanted = {(config.region, config.edge): name for name, config in configs}
    for key in sorted(seen.keys() | wanted.keys()):
        subject = wanted.get(key, f"{key[0]}/{key[1]}")
        edge = seen.get(key)
        if edge is None or not edge["online"]:
            level = fault if key in wanted else warning
            do = "start it: gameedge edge --config FILE; its log says why it ended" if key in wanted else "start it again, if it should run"
            found.append(level("process", subject, "the coordinator does not hear of it" if edge is None else "it is offline", do))
            continue
        found += _of_process(subject, edge, status["coordinator"]["now_ms"])
    if not seen and not wanted:
        found.append(fault("process", "regions", "no edge process is known", "start one: gameedge edge --config FILE"))
    return found


def _of_process(subject: str, edge: dict[str, Any], now_ms: int) -> Iterable[Finding]:
    report = edge["report"] or {}
    if edge["doubt"]:
        yield fault("process", subject, edge["doubt"], "look at its log, at its store and at the network to the broker")
    else:
        yield ok("process", subject, f"online, {report.get('players', 0)} players, {report.get('matches', 0)} matches")
    if edge["draining"]:
        yield warning("process", subject, "it drains", "once it has ended, start it; or: gameedge admin regions resume")
    late = report.get("tick_lateness_ms", {}).get("p99", 0.0)
    if late > LATE_MS:
        yield warning("process", subject, f"ticks are {late:.0f} ms late at p99", "too much to do here: fewer processes or players")
    if report.get("outbox", 0) > 100:
        yield warning("process", subject, f"{report['outbox']} results wait", "look at broker and coordinators: ratings stand still")
    for model in report.get("models", []):
        if model.get("state", "running") != "running":
            text = f"model {model['model']} was {model['state'].replace('_', ' ')}: {model.get('why', '')}"
            yield fault("process", subject, text, "gameedge admin models status; then deploy another, or roll back")
    yield version(subject, edge["version"])
    if report.get("at_ms") and edge["age_ms"] is not None:
        skew = report["at_ms"] + edge["age_ms"] - now_ms
        if abs(skew) > CLOCK_MS:
            yield clock(f"{subject} (against its coordinator)", skew)


async def doors(client: httpx.AsyncClient, status: dict[str, Any]) -> list[Finding]:
    """Whether the ports that players and orchestrators use can be reached from here."""
    edges = [(f"{r['region']}/{e['edge']}", e) for r in status["regions"] for e in r["edges"] if e["online"]]
    return await together(*(_door(client, subject, edge) for subject, edge in edges))


async def _door(client: httpx.AsyncClient, subject: str, edge: dict[str, Any]) -> list[Finding]:
    do = "open the port from here, or correct public_url: players are sent there"
    try:
        parts = urlsplit(edge["url"])
        port = parts.port or (443 if parts.scheme == "wss" else 80)
    except ValueError as error:
        return [fault("port", subject, f"{edge['url']} is no address ({error})", do)]
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
            writer.close()
    except (OSError, TimeoutError) as error:
        return [fault("port", subject, f"{edge['url']} cannot be reached ({error or 'no answer'})", do)]
    found = [ok("port", subject, f"{edge['url']} takes connections")]
    if not edge["admin_url"] or urlsplit(edge["admin_url"]).hostname not in ("127.0.0.1", "localhost", "::1"):
        return found  # on another machine's loopback or inside of its network: not ours to reach
    try:
        ready = await client.get(f"{edge['admin_url']}/readyz")
    except httpx.HTTPError as error:
        return [*found, fault("port", subject, f"{edge['admin_url']} does not answer ({type(error).__name__})", "look at its log")]
    if ready.status_code != 200:
        found.append(fault("port", subject, f"it is not ready: {ready.text.strip()[:200]}", "see the findings on its store"))
    return found


def accelerators(status: dict[str, Any], configs: Iterable[CoordinatorConfig]) -> list[Finding]:
    """Modes that need an accelerator, and whether anybody has one."""
    modes = sorted({mode for config in configs for mode in config.accelerator_modes})
    having = [e["edge"] for r in status["regions"] for e in r["edges"] if (e["report"] or {}).get("accelerator")]
    if modes and not having:
        do = "run a region on machines with a GPU, or take them out of accelerator_modes: they cannot be placed"
        return [fault("gpu", ", ".join(modes), "no process has an accelerator", do)]
    return []
