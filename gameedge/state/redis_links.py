"""Connections of one store to where it is: a server, a cluster, or the master that sentinels name.

All three answer to the same two calls, pipelines and single commands, and take no more than CONNECTIONS_MAX connections to a server
for calls and WAITS_MAX for commands that wait. Sentinel: who the master is, is asked for each new connection; a master that was
demoted refuses writes, its connections are dropped, and the next ones go to its successor. Cluster: the client follows moved slots,
and learns the map anew when a node does not answer.
"""

import ssl
from typing import Any, Final

from redis import exceptions as exceptions
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis, SSLConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff, NoBackoff

from gameedge.core.errors import ConfigError
from gameedge.state.redis_urls import Place

CONNECTIONS_MAX: Final = 16  # of one store to one server; a call waits for one within its own time
WAITS_MAX: Final = 64  # commands that wait on the server, of one store; refuse
MOVED_TRIES: Final = 3  # a slot that moves while it is asked for
MOVED_WAIT_S: Final = 0.05


class Links:
    """`calls` for commands that answer at once, `waits` for those that wait."""

    def __init__(self, place: Place, wait_s: float) -> None:
        self._place = place
        self._wait_s = wait_s
        self._pools: list[Any] = []
        self._sentinels: list[Any] = []
        try:
            self._tls = _trusting(place)
            self.calls = self._open(wait_s, CONNECTIONS_MAX)
            self.waits = self._open(None, WAITS_MAX)
        except (ValueError, TypeError, OSError, exceptions.RedisError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(f"redis = {str(place)!r}: {error}") from error

    def _common(self, timeout_s: float | None) -> dict[str, Any]:
        return {
            "username": self._place.username,
            "password": self._place.password,
            "protocol": 2,
            "socket_connect_timeout": self._wait_s,
            "socket_timeout": timeout_s,
            "socket_keepalive": True,
            "decode_responses": False,
        }

    def _open(self, timeout_s: float | None, most: int) -> Any:
        opener = {"single": self._single, "cluster": self._cluster, "sentinel": self._sentinel}[self._place.kind]
        return opener(self._common(timeout_s), timeout_s, most)

    def _single(self, common: dict[str, Any], timeout_s: float | None, most: int) -> Any:
        [(host, port)] = self._place.nodes[:1]
        common |= {"host": host, "port": port, "db": self._place.db, "retry": Retry(NoBackoff(), 0), "max_connections": most}
        common |= {"connection_class": SSLConnection if self._place.tls else Connection, **self._tls}
        pool = ConnectionPool(**common) if timeout_s is None else BlockingConnectionPool(timeout=timeout_s, **common)
        self._pools.append(pool)
        return Redis(connection_pool=pool)

    def _cluster(self, common: dict[str, Any], _: float | None, most: int) -> Any:
        nodes = [ClusterNode(host, port) for host, port in self._place.nodes]
        more: dict[str, Any] = {"retry": Retry(ConstantBackoff(MOVED_WAIT_S), MOVED_TRIES), "require_full_coverage": False}
        more |= {"startup_nodes": nodes, "max_connections": most, "ssl": self._place.tls, **self._tls}
        return RedisCluster(**common, **more)

    def _sentinel(self, common: dict[str, Any], _: float | None, most: int) -> Any:
        asked = {"socket_timeout": self._wait_s / 3, "socket_connect_timeout": self._wait_s / 3, "password": self._place.sentinel_password}
        opener: Any = Sentinel  # the library has no types for it
        common |= {"ssl": self._place.tls, **self._tls}
        sentinel = opener(list(self._place.nodes), sentinel_kwargs={**asked, "ssl": self._place.tls, **self._tls}, **common)
        redis = sentinel.master_for(self._place.master, db=self._place.db, max_connections=most, retry=Retry(NoBackoff(), 0))
        self._pools.append(redis.connection_pool)
        self._sentinels += sentinel.sentinels
        return redis

    async def close(self) -> None:
        for redis in (self.calls, self.waits, *self._sentinels):
            await redis.aclose()
        for pool in self._pools:
            await pool.disconnect()


def _trusting(place: Place) -> dict[str, str]:
    """What tells the client library whom to trust. Raises OSError for a file that cannot be read or holds no certificates."""
    if not place.ca:
        return {}
    ssl.create_default_context(cafile=place.ca)  # now, not with the first connection
    return {"ssl_ca_certs": place.ca}
