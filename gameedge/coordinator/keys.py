"""`gameedge keys`: the public key that edge processes are configured with."""

import asyncio

from gameedge.coordinator.tokens import load_signer
from gameedge.core.errors import ConfigError
from gameedge.state.open import open_global_store


def public_key(redis_url: str) -> str:
    """The deployment's public key (base64url of 32 bytes), made where there is none. Raises ConfigError, UnavailableError."""
    if redis_url.startswith("memory://"):
        raise ConfigError("memory:// keeps its key within one process; name the redis:// of the coordinators")

    async def ask() -> str:
        store = open_global_store(redis_url)
        try:
            return (await load_signer(store)).public_text
        finally:
            await store.close()

    return asyncio.run(ask())
