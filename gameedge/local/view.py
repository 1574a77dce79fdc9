"""The live view of `gameedge up`: tables for a terminal, one line for everything else."""

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gameedge.coordinator.schemas.world import RegionStatus
from gameedge.local.picture import Picture

VERDICTS_SHOWN = 6
NOTES_SHOWN = 4
_GOOD_MS, _BAD_MS = 4.0, 10.0  # of tick lateness at p99


def screen(picture: Picture, urls: dict[str, str], played_s: float) -> RenderableType:
    """Everything at a glance."""
    parts: list[RenderableType] = [_regions(picture), Text.from_markup(_totals(picture, played_s))]
    if npcs := _npcs(picture):
        parts.append(Text(npcs, style="cyan", no_wrap=True, overflow="ellipsis"))
    if picture.verdicts:
        parts.append(_verdicts(picture))
    parts += [Text(note, style="yellow", no_wrap=True, overflow="ellipsis") for note in list(picture.notes)[-NOTES_SHOWN:]]
    parts.append(Text("  ".join(f"{name} {url}" for name, url in urls.items()) + "  ·  Ctrl-C stops", style="dim"))
    return Group(*parts)


def line(picture: Picture, played_s: float) -> str:
    """The same in one line, for logs and pipes."""
    bots, (p50, p99) = picture.bots, picture.lateness()
    caught = len(set(picture.flagged) & set(picture.cheaters))
    players = sum(report.players for report in picture.reports())
    matches = sum(report.matches for report in picture.reports())
    text = (
        f"{played_s:6.1f} s  players {players}  matches {matches}  finished {picture.total('matches_finished')}  "
        f"tick late p50/p99 {p50:.1f}/{p99:.1f} ms  npc actions {picture.total('npc_actions')}  "
        f"cheaters flagged {caught}/{len(picture.cheaters)}  innocents {len(set(picture.flagged) - set(picture.cheaters))}"
    )
    if bots is not None and bots.input_to_snapshot_ms.p50 is not None:
        text += f"  input→snapshot {bots.input_to_snapshot_ms.p50:.0f}/{bots.input_to_snapshot_ms.p99 or 0:.0f} ms"
    return text + f"  errors {picture.errors}" + (f"  ({picture.api_error})" if picture.api_error else "")


def closing(built: dict[str, Any]) -> list[str]:
    """The summary in a few lines for people."""

    def spread(name: str) -> str:
        p50, p99 = built[name]["p50"], built[name]["p99"]
        return "not measured" if p50 is None else f"{p50:.1f} / {p99 or 0:.1f} ms"

    lines = [
        f"played {built['played_s']:.0f} s in {built['regions']} regions, {built['players_connected']} players at once; "
        f"matches {built['matches_started']} started, {built['matches_finished']} finished, {built['results_applied']} applied",
        f"p50 / p99: input to snapshot {spread('input_to_snapshot_ms')}, tick lateness {spread('tick_lateness_ms')}, "
        f"queue {spread('queue_wait_ms')}, placement {spread('placement_ms')}",
        f"cheaters flagged {built['cheaters_flagged']} of {built['cheaters']}, innocents flagged {built['innocents_flagged']}; "
        f"NPC actions {built['npc_actions']}; errors {built['errors']}",
    ]
    if built["npc_models"]:
        lines.append(f"NPCs played by {', '.join(built['npc_models'])}, {len(built['npc_styles'])} styles")
    if built["outbox_left"]:
        lines.append(f"{built['outbox_left']} results wait in the regions' stores and leave with the next start of this folder")
    return lines


def _regions(picture: Picture) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("region", no_wrap=True)
    for name in ("players", "matches", "queue", "tick late", "busy", "batch", "rtt", "npcs", "npc act/s", "flags"):
        table.add_column(name, justify="right", no_wrap=True)
    for region in picture.status.regions if picture.status else []:
        table.add_row(*_row(picture, region))
    return table


def _row(picture: Picture, region: RegionStatus) -> list[RenderableType]:
    reports = [edge.report for edge in region.edges if edge.online and edge.report is not None]
    title = Text(f"{region.title or region.region} ", style="bold") + Text(region.region, style="dim")
    if not reports:
        return [title, Text("away", style="red"), *[""] * 9]
    late = max(report.tick_lateness_ms.p99 for report in reports)
    style = "green" if late < _GOOD_MS else "yellow" if late < _BAD_MS else "red"
    batches = [report.inference_batch for report in reports]
    return [
        title,
        str(sum(report.players for report in reports)),
        str(sum(report.matches for report in reports)),
        str(max(sum(report.queued.values()) for report in reports)),  # the pool is the region's: each process sees all of it
        Text(f"{max(report.tick_lateness_ms.p50 for report in reports):.1f}/{late:.1f} ms", style=style),
        f"{max(report.tick_busy for report in reports):.0%}",
        f"{sum(batches) / len(batches):.0f}",
        f"{max(report.rtt_ms.p50 for report in reports):.0f} ms",
        str(sum(report.npcs for report in reports)),
        f"{picture.npc_rate.get(region.region, 0.0):.0f}",
        str(sum(report.flags for report in reports)),
    ]


def _totals(picture: Picture, played_s: float) -> str:
    bots = picture.bots
    parts = [f"[bold]{played_s:.0f} s[/]"]
    if bots is not None:
        parts.append(f"bots {bots.connected}/{bots.players}, {bots.in_match} in a match, {bots.queued} queued")
        for title, spread in (("input→snapshot", bots.input_to_snapshot_ms), ("queue", bots.queue_wait_ms)):
            if spread.p50 is not None:
                parts.append(f"{title} {spread.p50:.0f}/{spread.p99 or 0:.0f} ms")
    caught, innocent = len(set(picture.flagged) & set(picture.cheaters)), len(set(picture.flagged) - set(picture.cheaters))
    parts.append(f"matches {picture.total('matches_finished')} finished, {picture.results_applied} applied")
    parts.append(f"cheaters flagged {caught}/{len(picture.cheaters)}, innocents {innocent}")
    parts.append(f"[{'red' if picture.errors else 'green'}]errors {picture.errors}[/]")
    if picture.api_error:
        parts.append("[red]coordinator away[/]")
    return "  ·  ".join(parts)


def _npcs(picture: Picture) -> str:
    """Which policy plays the NPCs, how and at which levels."""
    reports = list(picture.reports())
    models = [model for report in reports for model in report.models if model.model == "npc"]
    if not models:
        return ""
    styles: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    for report in reports:
        styles.update(report.npc_styles)
        levels.update(report.npc_levels)
    names = sorted({model.stable for model in models})
    text = f"NPCs by {', '.join(names)}"
    if canaries := sorted({f"{model.canary} for {model.share:.0%}" for model in models if model.canary}):
        text += f", canary {', '.join(canaries)}"
    text += "  ·  " + " ".join(f"{style} {count}" for style, count in sorted(styles.items()))
    text += "  ·  level " + " ".join(f"{level}:{count}" for level, count in sorted(levels.items(), key=lambda pair: int(pair[0])))
    fallbacks, late = sum(model.fallbacks for model in models), sum(model.late for model in models)
    return text + f"  ·  fallbacks {fallbacks}, late {late}"


def _verdicts(picture: Picture) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("newest flags", "region", "rule", "score", "is", "reasons"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", justify="right" if name == "score" else "left")
    for view in picture.verdicts[:VERDICTS_SHOWN]:
        verdict, who = view.verdict, picture.who(view.verdict.player)
        colour = "red" if who == "innocent" else "green" if who != "unknown" else "dim"
        # Text, not markup: rules and reasons come from the network
        cells = [verdict.player[:12], view.region, verdict.rule, f"{verdict.score:.2f}"]
        table.add_row(*map(Text, cells), Text(who, style=colour), Text("; ".join(verdict.reasons)))
    return table
