"""`gameedge admin doctor`: looks at every part of a deployment and says of each fault what to do. Changes nothing.

What it looks at comes from the configuration files (--config, as many as there are), else from what `gameedge up` left word of on this
machine; what the coordinator knows is asked in any case.
"""

import asyncio
import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import typer
from rich.console import Console
from rich.text import Text

from gameedge.admin import checks, checks_local, found, tables
from gameedge.admin.asking import AS_JSON, Target, target_of
from gameedge.admin.checks import Finding, fault, warning
from gameedge.admin.client import FAULTS
from gameedge.config import CoordinatorConfig, EdgeConfig, load
from gameedge.core.errors import ConfigError

STYLES = {"ok": "green", "note": "dim", "warning": "yellow", "fault": "bold red"}
RANK = {"fault": 0, "warning": 1, "note": 2, "ok": 3}


@dataclass
class Known:
    """What is to be looked at. Edges are named region/edge, coordinators by their file."""

    edges: list[tuple[str, EdgeConfig]] = field(default_factory=list)
    coordinators: list[tuple[str, CoordinatorConfig]] = field(default_factory=list)
    parts: list[found.Part] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)  # of edges, where they are children of `gameedge up`
    running: found.Running | None = None
    findings: list[Finding] = field(default_factory=list)  # of files that are none


def doctor(
    context: typer.Context,
    config: Annotated[list[Path], typer.Option("--config", "-c", help="a process's TOML file; none: what `gameedge up` runs here")] = [],  # noqa: B006
    every: Annotated[bool, typer.Option("--all", help="also what is in order")] = False,
    as_json: bool = AS_JSON,
) -> None:
    """Check stores, broker, keys, clocks, versions, ports, GPU, file limits, models. Exit status 1: a fault was found."""
    to = target_of(context)
    known = know(config, to)
    findings = sorted(asyncio.run(examine(to, known)), key=lambda one: (RANK[one.level], one.check, one.subject))
    faults = sum(finding.level == "fault" for finding in findings)
    if as_json:
        sys.stdout.write(json.dumps({"ok": not faults, "findings": msgspec.to_builtins(findings)}, ensure_ascii=False, indent=2) + "\n")
    else:
        _view(Console(), findings, every)
    if faults:
        raise typer.Exit(FAULTS)


def know(files: list[Path], to: Target) -> Known:
    """Read the files; without any, take the deployment that runs here, where it is the one that was asked for."""
    known = Known()
    paths = [str(path) for path in files]
    if not paths:
        url = to.url.rstrip("/")
        known.running = next((running for running in found.deployments() if running.url.rstrip("/") == url), None)
        if known.running is not None:
            known.parts = known.running.parts
            paths = [part.config for part in known.parts if part.config]
    for path in paths:
        try:
            kind = EdgeConfig if "region" in tomllib.loads(Path(path).read_text("utf-8")) else CoordinatorConfig
            read = load(Path(path), kind)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ConfigError) as error:
            known.findings.append(fault("config", path, str(error), "correct the file; docs/operations.md lists its keys"))
            continue
        known.findings.append(checks.ok("config", path, "it can be read"))
        if isinstance(read, EdgeConfig):
            known.edges.append((f"{read.region}/{read.edge}", read))
            known.pids |= {f"{read.region}/{read.edge}": part.pid for part in known.parts if part.config == path}
        elif isinstance(read, CoordinatorConfig):
            known.coordinators.append((path, read))
    if not paths:
        do = "give --config FILE of each process to have stores, broker, keys and models checked"
        known.findings.append(
            warning("config", "this machine", "no configuration was given, and no `gameedge up` here has this address", do)
        )
    return known


async def examine(to: Target, known: Known) -> list[Finding]:
    """All findings."""
    async with httpx.AsyncClient(timeout=checks.ANSWER_S, trust_env=False) as client:
        url = to.url.rstrip("/")
        first, (about_token, status), signing = await asyncio.gather(
            checks.together(
                *(checks.store(name, address) for address, name in stores(known).items()),
                *(checks.broker(name, address) for address, name in brokers(known).items()),
                *(checks.coordinator(client, name, address) for address, name in coordinators(known, url).items()),
            ),
            checks.admin_api(client, url, to.token),
            checks.signing_keys(client, url),
        )
        findings = [*known.findings, *first, *about_token, *_here(known)]
        if signing:
            findings += checks.keys(signing, known.edges)
        if status is not None:
            findings += checks.processes(status, known.edges) + await checks.doors(client, status)
            findings += checks.accelerators(status, (config for _, config in known.coordinators))
        return findings


def _here(known: Known) -> list[Finding]:
    listens = [(name, config.players) for name, config in known.edges] + [(name, config.listen) for name, config in known.coordinators]
    folders = [Path(known.running.folder)] if known.running is not None else []
    jobs: list[Callable[[], list[Finding]]] = [
        checks_local.machine,
        lambda: checks_local.children(known.running) if known.running is not None else [],
        lambda: checks_local.files(known.edges, known.pids),
        lambda: checks_local.disk(folders),
        lambda: checks_local.artifacts(known.edges),
        lambda: checks_local.rules(known.edges),
        lambda: checks_local.certificates(listens),
        lambda: checks_local.secrets_of(name for name, config in known.coordinators if config.operator_token),
    ]
    findings: list[Finding] = []
    for job in jobs:
        try:
            findings += job()
        except Exception as error:  # an artifact or a file that nobody thought of must not hide what the others found
            findings += checks.broken(error)
    return findings


def stores(known: Known) -> dict[str, str]:
    """URL -> what it is called."""
    found = {config.redis: "global store" for _, config in known.coordinators}
    for _, config in known.edges:
        found.setdefault(config.redis, f"store of {config.region}")
    for part in known.parts:
        if part.kind == "redis" and part.url:
            found.setdefault(part.url, part.name)
    return found


def brokers(known: Known) -> dict[str, str]:
    of_coordinators = [config.bus for _, config in known.coordinators]
    return dict.fromkeys([*of_coordinators, *(config.bus for _, config in known.edges)], "broker")


def coordinators(known: Known, url: str) -> dict[str, str]:
    found = {url: "coordinator"}
    for name, config in known.coordinators:
        scheme = "https" if config.listen.certificate else "http"
        host = "127.0.0.1" if config.listen.host in ("0.0.0.0", "::") else config.listen.host
        if config.listen.port:
            found.setdefault(f"{scheme}://{host}:{config.listen.port}", name)
    return found


def _view(console: Console, findings: list[Finding], every: bool) -> None:
    shown = [one for one in findings if every or one.level != "ok"]
    if shown:
        table = tables.table("findings", "", "check", "about", "found", "what to do")
        for one in shown:
            mark = Text(one.level, style=STYLES[one.level])
            table.add_row(mark, *(tables.cell(text) for text in (one.check, one.subject, one.found, one.do)))
        console.print(table)
    counts: dict[str, Any] = {level: sum(one.level == level for one in findings) for level in RANK}
    style = "red" if counts["fault"] else "yellow" if counts["warning"] else "green"
    text = f"{len(findings)} checks: {counts['fault']} faults, {counts['warning']} warnings, {counts['ok']} in order"
    console.print(Text(text, style=style))
