"""From a URL of the configuration to a store.

`redis://`, `redis+cluster://` and `redis+sentinel://` (with `rediss` for TLS) open servers, `redis_urls.py` has the forms.
`memory://` is a store of this process: `memory://name` is the same one for everybody in the process who asks for that name,
`memory://` is the asker's own.
"""

from gameedge.state.base import RegionStore
from gameedge.state.base_global import GlobalStore
from gameedge.state.memory import MemoryRegionStore
from gameedge.state.memory_global import MemoryGlobalStore
from gameedge.state.redis_urls import parse

_regions: dict[str, MemoryRegionStore] = {}
_globals: dict[str, MemoryGlobalStore] = {}


def open_region_store(url: str) -> RegionStore:
    """Raises ConfigError for a URL of another form. Connects with the first call, not here. Close it with `close()`."""
    scheme, name = _split(url)
    if scheme == "memory":
        return _regions.setdefault(name, MemoryRegionStore()) if name else MemoryRegionStore()
    # redis is an optional dependency: whoever keeps state in memory needs none.
    from gameedge.state.redis_region import RedisRegionStore

    return RedisRegionStore(url)


def open_global_store(url: str) -> GlobalStore:
    """Raises ConfigError for a URL of another form. Connects with the first call, not here. Close it with `close()`."""
    scheme, name = _split(url)
    if scheme == "memory":
        return _globals.setdefault(name, MemoryGlobalStore()) if name else MemoryGlobalStore()
    from gameedge.state.redis_global import RedisGlobalStore

    return RedisGlobalStore(url)


def _split(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.partition("://")
    if scheme == "memory" and separator:
        return scheme, rest
    parse(url)
    return scheme, rest
