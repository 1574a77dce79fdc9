"""Answers of the admin API as tables. Whatever a player or a region wrote is shown as text, never as markup."""

import datetime
import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def _cell(value: object) -> Text:
    """Text without control characters: a name must not move the operator's cursor."""
    return Text("".join(c if c.isprintable() else "�" for c in str(value)))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        name, _, side = column.partition(">")
        table.add_column(name, justify="right" if side == "r" else "left", overflow="fold")
    return table


def _row(table: Table, *values: object) -> None:
    table.add_row(*(_cell(value) for value in values))


def _when(at_ms: object) -> str:
    if not isinstance(at_ms, int) or not 0 <= at_ms < 4_102_444_800_000:  # to the year 2100
        return "-"
    return datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def status(console: Console, answer: dict[str, Any]) -> None:
    """A line of totals, then the regions."""
    own = answer["coordinator"]
    store = "away" if own["store_ms"] is None else f"{own['store_ms']:.1f} ms"
    console.print(
        f"{answer['players']} players, {answer['matches']} matches, {answer['results_applied']} results applied, "
        f"{answer['verdicts']} flags; store {store}, broker {'online' if own['bus_online'] else 'away'}",
        highlight=False,
    )
    regions(console, answer["regions"])


def regions(console: Console, answer: list[dict[str, Any]]) -> None:
    """One line a process."""
    table = _table("regions", "region", "process", "state", "players>r", "matches>r", "late p99 ms>r", "busy>r", "url")
    for region in answer:
        for edge in region["edges"]:
            report = edge["report"] or {}
            late = report.get("tick_lateness_ms", {}).get("p99", 0.0)
            state = edge["doubt"] or ("draining" if edge["draining"] else "online")
            _row(
                table,
                region["region"],
                edge["edge"],
                state,
                f"{report.get('players', 0)}/{report.get('players_max', 0)}",
                report.get("matches", 0),
                f"{late:.1f}",
                f"{report.get('tick_busy', 0.0):.0%}",
                edge["url"],
            )
        if not region["edges"]:
            _row(table, region["region"], "-", "draining" if region["draining"] else "offline", "", "", "", "", "")
    console.print(table)


def verdicts(console: Console, answer: dict[str, Any]) -> None:
    table = _table("flags, newest first", "at (UTC)", "region", "player", "rule", "score>r", "reasons", "flag")
    for entry in answer["verdicts"]:
        verdict = entry["verdict"]
        _row(
            table,
            _when(verdict["at_ms"]),
            entry["region"],
            verdict["player"],
            verdict["rule"],
            f"{verdict['score']:.2f}",
            "; ".join(verdict["reasons"]),
            verdict["flag"],
        )
    console.print(table)


def player(console: Console, answer: dict[str, Any]) -> None:
    state = "banned" if answer["banned"] else "in good standing"
    head = f"{answer['name']} ({answer['player']}), since {_when(answer['created_ms'])}, {state}, trust {answer['trust']}"
    console.print(_cell(head))
    table = _table("ratings", "mode", "rating>r", "mu>r", "sigma>r", "games>r")
    for mode, rating in sorted(answer["ratings"].items()):
        _row(table, mode, *(f"{rating[key]:.2f}" for key in ("rating", "mu", "sigma")), rating["games"])
    console.print(table)
    if answer["verdicts"]:
        verdicts(console, answer)


def desired(console: Console, answer: dict[str, Any]) -> None:
    state = "drains" if answer["draining"] else "takes players"
    edges = ", ".join(answer["draining_edges"])
    more = f"; draining processes: {edges}" if edges else ""
    console.print(_cell(f"{answer['region']} {state}{more} (revision {answer['revision']})"))


def audit(console: Console, answer: dict[str, Any]) -> None:
    table = _table("audit, newest first", "at (UTC)", "action", "from", "what")
    for line in answer["entries"]:
        try:
            entry = json.loads(line)
            rest = {k: v for k, v in entry.items() if k not in ("at_ms", "action", "from", "by", "raw") and v not in (None, "")}
            _row(
                table,
                _when(entry.get("at_ms")),
                entry.get("action", ""),
                entry.get("from", ""),
                ", ".join(f"{k}={v}" for k, v in rest.items()),
            )
        except (ValueError, AttributeError):
            _row(table, "-", "unreadable", "", line[:200])
    console.print(table)


def models(console: Console, answer: dict[str, Any]) -> None:
    for entry in answer["wishes"]:
        wish = entry["wish"]
        parts = [f"stable {wish['stable']}" if wish.get("stable") else "stable as configured"]
        parts += [f"{kind} {wish[kind]} for {wish[kind + '_share']:.0%}" for kind in ("canary", "shadow") if wish.get(kind)]
        console.print(_cell(f"wish in {entry['region']}: {entry['model']}: {', '.join(parts)}"))
    counted = ("actions", "held", "fallbacks", "late", "failures")
    table = _table("models", "region", "process", "model", "stable", "trial", "state", *(f"{name}>r" for name in counted))
    for edge in answer["edges"]:
        report = edge["report"]
        trial = report.get("canary") or report.get("shadow") or ""
        if trial:
            trial += f" {report.get('share', 0.0):.0%}" + (f" differs {report.get('difference', 0.0):.3f}" if report.get("shadow") else "")
        state = report.get("state", "running") + (f": {report['why']}" if report.get("why") else "")
        counts = [report.get(name, 0) for name in counted]
        _row(table, edge["region"], edge["edge"], report["model"], report.get("stable", ""), trial, state, *counts)
    console.print(table)
    for edge in answer["edges"]:
        if ways := edge["report"].get("backends"):
            console.print(_cell(f"{edge['edge']}: {edge['report']['model']} runs by batch size: {ways}"))


def review(console: Console, answer: list[dict[str, Any]]) -> None:
    table = _table("flags of this region, newest first", "at (UTC)", "state", "player", "rule", "score>r", "reasons", "model", "flag")
    for entry in answer:
        score = "-" if entry["score"] is None else f"{entry['score']:.1f}"
        reasons = "; ".join(entry["reasons"])
        _row(table, _when(entry["at_ms"]), entry["state"], entry["player"], entry["rule"], score, reasons, entry["model"], entry["flag"])
    console.print(table)


def evidence(console: Console, answer: dict[str, Any]) -> None:
    """One flag in full."""
    console.print(_cell(f"{answer['flag']}: {answer['rule']}, {answer['state']}, {_when(answer['at_ms'])} UTC"))
    console.print(_cell(f"player {answer['player']}, match {answer['match'] or '-'}, model {answer['model'] or '-'}"))
    for reason in answer["reasons"]:
        console.print(_cell(f"  - {reason}"))
    if answer.get("refused"):
        console.print(_cell("refused by reason number: " + ", ".join(f"{k}: {v}" for k, v in sorted(answer["refused"].items()))))
    if answer.get("timeline"):
        table = _table("what contributed", "block>r", "tick>r", "shots>r", "score>r", "p at most>r", "wealth>r")
        for row in answer["timeline"]:
            _row(table, row["block"], row["tick"], row["shots"], f"{row['score']:.2f}", f"{row['p']:g}", f"{row['wealth']:.3g}")
        console.print(table)


def placement(console: Console, answer: dict[str, Any]) -> None:
    """Each region's terms, the best total first; all in milliseconds."""
    stayed = ", stayed although another is a little nearer" if answer["stayed"] else ""
    party = f", party of {answer['party']}" if answer["party"] > 1 else ""
    console.print(Text(f"{answer['player']} -> {answer['region']} at {_when(answer['at_ms'])}{party}{stayed}"))
    columns = ("region", "total>r", "rtt>r", "load>r", "inference>r", "queue>r", "cost>r", "full>r", "km>r", "basis", "pings>r", "note")
    table = _table("why (ms)", *columns)
    for name, why in sorted(answer["why"].items(), key=lambda item: (bool(item[1]["excluded"]), item[1]["total_ms"])):
        chosen = "chosen" if name == answer["region"] else ""
        _row(
            table,
            name,
            *(f"{why[key]:.1f}" for key in ("total_ms", "rtt_ms", "load_ms", "inference_ms", "queue_ms", "cost_ms")),
            f"{why['fullness']:.0%}",
            "-" if why["distance_km"] is None else f"{why['distance_km']:.0f}",
            why["basis"],
            answer["samples"].get(name, 0),
            ", ".join(filter(None, (chosen, why["excluded"], why["doubtful"]))),
        )
    console.print(table)
