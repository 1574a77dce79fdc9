"""`python -m gameedge.local.broker PORT`: amqtt on loopback, for machines without Mosquitto. Nothing is kept on disk."""

import asyncio
import signal
import sys

from amqtt.broker import Broker

from gameedge.core import limits
from gameedge.telemetry import logs

_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


async def serve(port: int) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": limits.REGIONS_MAX * 4}
    broker = Broker({"listeners": {"default": listener}, "plugins": _PLUGINS})
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logs.configure("warning")
    asyncio.run(serve(int(sys.argv[1])))
