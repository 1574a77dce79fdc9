"""The admin API's part about the live policy and about events."""

import time
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import Body, Parameter

from gameedge.coordinator import policy
from gameedge.coordinator.api_public import AnyRequest, address_of, operator_errors
from gameedge.coordinator.events import KINDS, Event
from gameedge.coordinator.policy import EDGE_KEYS, KEYS, Overrides, Version, as_values
from gameedge.coordinator.roles import Role, acting, needs, who
from gameedge.coordinator.schemas.policy import (
    ConfigChange,
    ConfigChanged,
    ConfigDiff,
    ConfigHistory,
    ConfigKey,
    ConfigRollback,
    ConfigVersion,
    ConfigView,
    EventsView,
)
from gameedge.coordinator.services import Services
from gameedge.core import limits
from gameedge.core.errors import Reason, RefusedError

WAIT_MS_MAX: Final = 15_000  # under the time that a request may take
Newest = Annotated[int, Parameter(ge=-1, description="-1: the newest")]
Number = Annotated[int, Parameter(ge=0, description="0: as configured")]


def _version(version: Version) -> ConfigVersion:
    return ConfigVersion(
        number=version.number,
        at_ms=version.at_ms,
        who=version.who,
        note=version.note,
        back_to=version.back_to,
        overrides=as_values(version.overrides),
    )


def _view(services: Services) -> ConfigView:
    now, made = services.policy.now, services.config
    live = as_values(now.overrides)
    return ConfigView(
        version=_version(now),
        keys=[
            ConfigKey(key=key, value=live[key] if key in live else None if key in EDGE_KEYS else getattr(made, key), live=key in live)
            for key in KEYS
        ],
    )


def _diff(before: Version, after: Version) -> ConfigDiff:
    old, new = as_values(before.overrides), as_values(after.overrides)
    changed = {key: [old.get(key), new.get(key)] for key in KEYS if old.get(key) != new.get(key)}
    return ConfigDiff(before=before.number, after=after.number, changed=changed)


def config_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    @get("/config", summary="The live policy", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def show() -> ConfigView:
        """What holds now. `live` false: as the configuration file says (null: as each edge process's own file says)."""
        await services.follow_policy()
        return _view(services)

    @get("/config/history", summary="Versions of the live policy", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def history(limit: Annotated[int, Parameter(ge=1, le=limits.VERSIONS_MAX)] = 50) -> ConfigHistory:
        """Newest first, with who changed what when."""
        return ConfigHistory(versions=[_version(version) for version in await services.policy.history(limit)])

    @get("/config/diff", summary="What two versions differ in", responses=operator_errors(404), opt=needs(Role.VIEWER))
    async def diff(before: Number, after: Newest = -1) -> ConfigDiff:
        """[before, after] of each key that differs; null: not overridden. Without `after`: the newest."""
        await services.follow_policy()
        newest = services.policy.now if after < 0 else await services.policy.version(after)
        return _diff(await services.policy.version(before), newest)

    @post("/config", status_code=200, summary="Change the live policy", responses=operator_errors(409), opt=needs(Role.OWNER))
    async def change(request: AnyRequest, data: Annotated[ConfigChange, Body()]) -> ConfigChanged:
        """Sets and unsets keys in a new version, where `expected` (if given) still is the newest. 409: somebody else was faster."""
        await services.follow_policy()
        before = services.policy.now
        _expect(data.expected, before)
        unknown = sorted((set(data.unset) | set(data.set)) - set(KEYS))
        if unknown:
            raise RefusedError(Reason.MALFORMED, f"no such key: {', '.join(unknown)[:100]}; keys are {', '.join(KEYS)}")
        values = {key: value for key, value in as_values(before.overrides).items() if key not in data.unset} | data.set
        return await _store(services, request, before, policy.parse(values), data.note, None)

    @post("/config/rollback", status_code=200, summary="Back to a version", responses=operator_errors(404, 409), opt=needs(Role.OWNER))
    async def rollback(request: AnyRequest, data: Annotated[ConfigRollback, Body()]) -> ConfigChanged:
        """A new version with the content of an old one; 0: as configured."""
        await services.follow_policy()
        before = services.policy.now
        _expect(data.expected, before)
        old = await services.policy.version(data.to)
        return await _store(services, request, before, old.overrides, data.note, data.to)

    return [show, history, diff, change, rollback]


def _expect(expected: int | None, now: Version) -> None:
    if expected is not None and expected != now.number:
        raise policy.newer(now)


async def _store(
    services: Services, request: AnyRequest, before: Version, overrides: Overrides, note: str, back_to: int | None
) -> ConfigChanged:
    warnings = policy.check(services.config_file, overrides, set(map(str, services.registry.regions)))
    made = Version(
        number=before.number + 1, at_ms=services.now_ms(), who=who(), note=note, overrides=overrides, back_to=back_to
    )  # its number follows the one that it was made from: whoever is slower is refused
    changed = _diff(before, made).changed
    await services.audit("config", address_of(request), version=made.number, changed=changed, note=note, back_to=back_to)
    await services.policy.put(made)
    waiting = await services.apply_policy()
    return ConfigChanged(version=_version(made), changed=changed, warnings=warnings, waiting=waiting)


def event_routes(services: Services) -> list[Any]:
    """Handlers below /v1/admin."""

    @get("/events", summary="What happens", responses=operator_errors(), opt=needs(Role.VIEWER))
    async def events(
        after: Annotated[int, Parameter(ge=-1, description="the number to go on from; -1: from now on")] = -1,
        stream: Annotated[str, Parameter(max_length=64, description="as the last answer had it")] = "",
        kind: Annotated[str, Parameter(max_length=128, description="only these, with commas")] = "",
        region: Annotated[str, Parameter(max_length=32)] = "",
        player: Annotated[str, Parameter(max_length=64)] = "",
        match: Annotated[str, Parameter(max_length=64)] = "",
        wait_ms: Annotated[int, Parameter(ge=0, le=WAIT_MS_MAX, description="how long to wait where there is none")] = 0,
        limit: Annotated[int, Parameter(ge=1, le=1000)] = 200,
    ) -> EventsView:
        """Those after `after`, oldest first. `missed`: so many were forgotten before they were asked for. Another `stream` than before:
        the coordinator was restarted, or it is another one, and numbers begin anew."""
        kinds = {word for word in kind.split(",") if word}
        if unknown := sorted(kinds - set(KINDS)):
            raise RefusedError(Reason.MALFORMED, f"no such kind: {', '.join(unknown)[:64]}; one of {', '.join(KINDS)}")

        operator = acting()
        hidden = () if operator is not None and operator.role.covers(Role.OPERATOR) else ("operator", "config")  # as the audit log
        if kinds and not kinds - set(hidden):
            raise RefusedError(Reason.FORBIDDEN, f"events of the kind {kind} need the role {Role.OPERATOR}")

        def wanted(event: Event) -> bool:
            return event.kind not in hidden and (
                (not kinds or event.kind in kinds)
                and region in ("", event.region)
                and player in ("", event.player)
                and match in ("", event.match)
            )

        source = services.events
        if stream and stream != services.name:
            after = 0
        number = source.number if after < 0 else min(after, source.number)
        deadline = time.monotonic() + wait_ms / 1000
        while True:
            found, then, missed = source.after(number, wanted, limit)
            left = deadline - time.monotonic()
            if found or missed or left <= 0:
                return EventsView(stream=services.name, events=found, next=then, missed=missed)
            number = then
            await source.wait(number, left)

    return [events]
