"""The live policy: what the studio may change of a running deployment, kept in the global store with who changed it and when.

Problem. Allow, deny, pin, cost and residency of regions are in each coordinator's file: a change is a new file everywhere and a restart.

Method. A document in the global store with numbered versions. A version holds only what differs from the coordinators' files (an
override each); what it does not name is as the file says. A change names the version that it was made from (compare and set): of two
operators the second is told who was faster. Each coordinator looks twice a second and converges; what concerns edge processes goes into
the regions' desired state, where it is retained, by whichever coordinator sees a region that has something else.

Guarantee. What is not valid is never stored. A rollback is a new version with an old one's content: history only grows (the newest
VERSIONS_MAX are kept). While the store is away everybody goes on with the newest version seen.
"""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from gameedge.config import CoordinatorConfig
from gameedge.core import limits
from gameedge.core.errors import ConfigError, Reason, RefusedError
from gameedge.core.ids import is_name
from gameedge.state.base_global import GlobalStore

DOCUMENT: Final = "policy"
LABEL_CHARS_MAX: Final = 32  # of a residency, as an account may name it
Regions = Annotated[list[Annotated[str, Meta(min_length=1, max_length=32)]], Meta(max_length=limits.REGIONS_MAX)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Overrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be changed live. UNSET: as the configuration file says (of edges: as each process's own file says)."""

    allow_regions: Annotated[Regions, Meta(description="regions that players may be placed in; empty: all")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    deny_regions: Annotated[Regions, Meta(description="regions that nobody is placed in")] | msgspec.UnsetType = msgspec.UNSET
    pin_region: (
        Annotated[str, Meta(max_length=32, description="everybody goes there as long as it takes players; empty: no pin")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    region_cost_ms: (
        Annotated[
            dict[str, Annotated[float, Meta(ge=0, le=1000)]],
            Meta(max_length=limits.REGIONS_MAX, description="region = what its price is worth in ms of felt latency"),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    residency: (
        Annotated[dict[str, Regions], Meta(max_length=64, description="label of an account = regions that its data may be in")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    accelerator_modes: (
        Annotated[list[str], Meta(max_length=64, description="modes whose models need an accelerator")] | msgspec.UnsetType
    ) = msgspec.UNSET
    guests_per_minute: Annotated[Count, Meta(description="sign-ups of one address; 0: no limit")] | msgspec.UnsetType = msgspec.UNSET
    placements_per_minute: Annotated[Count, Meta(description="placements of one address; 0: no limit")] | msgspec.UnsetType = msgspec.UNSET
    fill_ms: (
        Annotated[int, Meta(ge=0, le=limits.TICKET_MS_MAX, description="edges: after this wait NPCs complete a queue; 0: never")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    npc_level: Annotated[int, Meta(ge=1, le=10, description="edges: level of NPCs that fill seats")] | msgspec.UnsetType = msgspec.UNSET


EDGE_KEYS: Final = ("fill_ms", "npc_level")  # what the regions' desired state carries
KEYS: Final = Overrides.__struct_fields__


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version as it is stored."""

    number: int
    at_ms: int
    who: str
    note: str = ""
    overrides: Overrides = Overrides()
    back_to: int | None = None  # a rollback: to which version


_decode: Final = msgspec.json.Decoder(Version)
NONE: Final = Version(number=0, at_ms=0, who="", note="as configured")


def parse(values: dict[str, Any]) -> Overrides:
    """Raises RefusedError(MALFORMED) with the key and what it takes."""
    try:
        return msgspec.convert(values, Overrides)
    except msgspec.ValidationError as error:
        hint = f"; keys are {', '.join(KEYS)}" if "unknown field" in str(error) else ""
        raise RefusedError(Reason.MALFORMED, f"{error}{hint}") from error


def as_values(overrides: Overrides) -> dict[str, Any]:
    """Only what is set."""
    return dict(msgspec.to_builtins(overrides))


def effective(config: CoordinatorConfig, overrides: Overrides) -> CoordinatorConfig:
    """The coordinator's configuration with what is overridden."""
    own = {key: value for key, value in as_values(overrides).items() if key not in EDGE_KEYS}
    return msgspec.structs.replace(config, **own)


def check(config: CoordinatorConfig, overrides: Overrides, known: set[str]) -> list[str]:
    """What is odd about it, in words. Raises RefusedError(MALFORMED) for what must not be."""
    made, warnings = effective(config, overrides), []
    named = {region: f"residency {label}" for label, regions in made.residency.items() for region in regions}
    for key, names in (("region_cost_ms", made.region_cost_ms), ("deny_regions", made.deny_regions), ("allow_regions", made.allow_regions)):
        named |= dict.fromkeys(names, key)
    named |= {made.pin_region: "pin_region"} if made.pin_region else {}
    for name, key in sorted(named.items()):
        if not is_name(name):
            text = f"{key}: {name!r} is no name of a region: use 1 to 32 of a-z, 0-9 and -, not at the ends"
            raise RefusedError(Reason.MALFORMED, text)
        if name not in known:
            warnings.append(f"no region is called {name} (yet)")
    for label in made.residency:
        if not 1 <= len(label) <= LABEL_CHARS_MAX:
            raise RefusedError(Reason.MALFORMED, f"residency {label[:64]!r}: a label has 1 to {LABEL_CHARS_MAX} characters")
    if made.pin_region and (made.pin_region in made.deny_regions or (made.allow_regions and made.pin_region not in made.allow_regions)):
        raise RefusedError(Reason.MALFORMED, f"pin_region {made.pin_region} is not allowed by allow_regions and deny_regions")
    open_ = {name for name in known if name not in made.deny_regions and (not made.allow_regions or name in made.allow_regions)}
    if known and not open_:
        raise RefusedError(Reason.MALFORMED, "allow_regions and deny_regions together leave no region; nobody could be placed")
    warnings += [f"residency {label}: no region may hold such an account" for label, regions in made.residency.items() if not regions]
    return warnings


def newer(now: Version) -> RefusedError:
    """Why a change that was made from another version than `now` is refused."""
    by = f", by {now.who}" if now.who else ""
    return RefusedError(Reason.OUT_OF_ORDER, f"version {now.number} is the newest by now{by}; look at it, then try again")


def check_file(config: CoordinatorConfig) -> None:
    """The same of a configuration file, before anybody is placed by it. Raises ConfigError."""
    try:
        check(config, Overrides(), set())
    except RefusedError as error:
        raise ConfigError(error.detail) from error


class LivePolicy:
    """The newest version as this coordinator knows it, and the way to make another."""

    def __init__(self, config: CoordinatorConfig, store: GlobalStore) -> None:
        self._config, self._store = config, store
        self._turn = asyncio.Lock()  # or a look that began before a change would come back with what was before it
        self.now = NONE

    async def look(self) -> bool:
        """Whether there is another version than `now`; it is `now` then. Raises UnavailableError. One that this release cannot read is
        left. A store that lost all versions has none: it is as configured."""
        async with self._turn:
            return await self._look()

    async def _look(self) -> bool:
        number, entries = await self._store.versions(DOCUMENT, 1)
        if number == self.now.number:
            return False
        if not number:
            self.now = NONE
            return True
        if not entries:
            return False
        try:
            found = _decode.decode(entries[0])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        self.now = found
        return True

    async def history(self, limit: int) -> list[Version]:
        """Newest first; unreadable ones are left out."""
        found = []
        for entry in (await self._store.versions(DOCUMENT, limit))[1]:
            try:
                found.append(_decode.decode(entry))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return found

    async def version(self, number: int) -> Version:
        """Raises RefusedError(NOT_FOUND)."""
        if number == 0:
            return NONE
        for version in await self.history(limits.VERSIONS_MAX):
            if version.number == number:
                return version
        raise RefusedError(Reason.NOT_FOUND, f"no version {number}; `gameedge admin config history` lists them")

    async def put(self, version: Version) -> None:
        """Store it where its number follows the newest one. Raises RefusedError(OUT_OF_ORDER) and says who was faster."""
        async with self._turn:
            if not await self._store.version_add(DOCUMENT, msgspec.json.encode(version), version.number - 1):
                await self._look()
                raise newer(self.now)
            self.now = version

    def settings(self) -> tuple[int | None, int | None]:
        """`fill_ms` and `npc_level` for the regions' desired state."""
        values = as_values(self.now.overrides)
        return values.get("fill_ms"), values.get("npc_level")
