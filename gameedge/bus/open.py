"""From the `bus` key of a configuration to a bus."""

import ssl
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from gameedge.bus.base import BusFactory
from gameedge.bus.memory import MemoryBroker
from gameedge.core.errors import ConfigError

_FORMS: Final = (
    "use mqtt://[user:password@]host[:port], mqtts://... for TLS (with ?ca=FILE where an authority of your own signed the broker's "
    "certificate), or memory:// for one process alone"
)
_brokers: Final[dict[str, MemoryBroker]] = {}  # memory://NAME is the same broker everywhere in a process


def open_bus(url: str) -> BusFactory:
    """The factory of connections to `url`. Nothing is connected yet. Raises ConfigError for a URL of another form."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        why = "it cannot be read; in a user's name or password write / ? # and @ as %2F %3F %23 and %40" if "@" in url else str(error)
        raise ConfigError(f"bus = {_shown(url)!r}: {why}; {_FORMS}") from None  # the error would repeat the password
    if parts.scheme == "memory":
        return _brokers.setdefault(parts.netloc, MemoryBroker()).factory
    tls = parts.scheme == "mqtts"
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = {"ca"} if tls else set()
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/") or options.keys() - known:
        raise ConfigError(f"bus = {_shown(url)!r}: {_FORMS}")
    if ca := options.get("ca", ""):
        try:
            ssl.create_default_context(cafile=ca)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"bus: ca = {ca!r} holds no certificates: {error}") from error
    from gameedge.bus.mqtt import Broker, MqttFactory  # a process on memory:// needs no MQTT client

    username = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    return MqttFactory(Broker(parts.hostname, port or (8883 if tls else 1883), tls=tls, username=username, password=password, ca=ca))


def _shown(url: str) -> str:
    """For messages and logs: without what stands before the last @, which may be a password."""
    before, at, where = url.rpartition("@")
    return f"{before.partition(':')[0]}://...@{where}" if at else url
