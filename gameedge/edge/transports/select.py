"""Which shell serves: `picows`, `websockets`, or `auto`."""

import importlib.util

from gameedge.core.errors import ConfigError
from gameedge.edge.transports.base import Transport


def open_transport(name: str) -> Transport:
    """The transport of that name; `auto` takes picows where it is installed. Raises ConfigError."""
    if name == "auto":
        name = "picows" if importlib.util.find_spec("picows") is not None else "websockets"
    if name == "picows":
        try:
            from gameedge.edge.transports.picows_shell import PicowsTransport
        except ImportError as error:
            raise ConfigError(f"transport = 'picows': not installed ({error}); use 'auto' or 'websockets'") from error
        return PicowsTransport()
    if name == "websockets":
        from gameedge.edge.transports.websockets_shell import WebsocketsTransport

        return WebsocketsTransport()
    raise ConfigError(f"transport = {name!r}: use picows, websockets or auto")
