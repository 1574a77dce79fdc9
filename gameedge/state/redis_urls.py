"""Where a store is, from its URL: one server, a Redis Cluster, or whatever server Sentinel says is the master.

`redis://[user:password@]host:port[/db]` and `rediss://` (TLS), `redis+cluster://[user:password@]host:port[,host:port...]`,
`redis+sentinel://[user:password@]host:port[,host:port...]/master[/db][?sentinel_password=...]`; `rediss+...` for TLS, with
`?ca=/path/to/ca.pem` where the servers' certificates are signed by an authority of one's own. Of a cluster and of sentinels any that
answers is enough; name several. Messages never hold a password.
"""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, unquote

from gameedge.core.errors import ConfigError

Kind = Literal["single", "cluster", "sentinel"]
SCHEMES: Final[dict[str, tuple[Kind, bool]]] = {
    "redis": ("single", False), "rediss": ("single", True),
    "redis+cluster": ("cluster", False), "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False), "rediss+sentinel": ("sentinel", True),
}  # fmt: skip
DEFAULT_PORT: Final[dict[Kind, int]] = {"single": 6379, "cluster": 6379, "sentinel": 26379}
FORMS: Final = (
    "use redis://host:port, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master (rediss for TLS), "
    "or memory://"
)


@dataclass(frozen=True, slots=True)
class Place:
    """`nodes`: servers, or sentinels where `master` names what they watch."""

    kind: Kind
    tls: bool
    nodes: tuple[tuple[str, int], ...]
    username: str | None = None
    password: str | None = None
    db: int = 0
    master: str = ""
    sentinel_password: str | None = None
    ca: str = ""  # a file of certificates to trust instead of the system's

    def __str__(self) -> str:
        """Without a password: for messages and logs."""
        name = f"/{self.master}" if self.master else ""
        return f"{','.join(f'{host}:{port}' for host, port in self.nodes)}{name}"


def parse(url: str) -> Place:
    """Raises ConfigError, with what is wrong and what to write instead."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ConfigError(f"redis: the scheme {scheme.partition(':')[0][:20]!r} is none of ours; {FORMS}")
    kind, tls = SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    options = _options(kind, tls, query)
    user, at, where = rest.rpartition("@")
    hosts, _, path = where.partition("/")
    username, colon, password = user.partition(":")
    master, db = _path(kind, path)
    return Place(
        kind=kind,
        tls=tls,
        nodes=tuple(_node(kind, text) for text in hosts.split(",")),
        username=unquote(username) or None if at else None,
        password=unquote(password) if colon else None,
        db=db,
        master=master,
        sentinel_password=options.get("sentinel_password"),
        ca=options.get("ca", ""),
    )


def _node(kind: Kind, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "")
    host = host.strip("[]")
    if not host:
        raise ConfigError(f"redis: {text!r} is no host:port; {FORMS}")
    if not port:
        return host, DEFAULT_PORT[kind]
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ConfigError(f"redis: the port of {text!r} is not a number from 1 to 65535")
    return host, int(port)


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """The master's name and the database."""
    parts = [part for part in path.split("/") if part]
    master = ""
    if kind == "sentinel":
        if not parts:
            raise ConfigError("redis: sentinels watch masters by name: redis+sentinel://host:26379/NAME (often mymaster)")
        master = unquote(parts.pop(0))
    if kind == "cluster" and parts:
        raise ConfigError(f"redis: a cluster has one database, so that {path!r} can select none; leave it out")
    if len(parts) > 1 or any(not (part.isascii() and part.isdigit() and int(part) < 1_024) for part in parts):
        raise ConfigError(f"redis: {path!r} names no database; write its number, such as /0")
    return master, int(parts[0]) if parts else 0


def _options(kind: Kind, tls: bool, query: str) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    known = {"sentinel_password"} if kind == "sentinel" else set()
    known |= {"ca"} if tls else set()
    if "@" in query and not set(options) <= known:  # whatever stands before it may be a password's end: it is not repeated
        raise ConfigError("redis: a ? in a user's name or password is written %3F, and an @ among the options %40")
    if unknown := sorted(set(options) - known):
        raise ConfigError(f"redis: {unknown[0]!r} is no option here; known: {', '.join(sorted(known)) or 'none'}")
    return options
