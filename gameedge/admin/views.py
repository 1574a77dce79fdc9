"""Answers of the admin API as tables."""

import json
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from gameedge.admin.tables import cell as _cell
from gameedge.admin.tables import clean as clean
from gameedge.admin.tables import row as _row
from gameedge.admin.tables import seconds
from gameedge.admin.tables import table as _table
from gameedge.admin.tables import when as _when


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


def region(console: Console, answer: dict[str, Any]) -> None:
    """One region in full."""
    state = "draining" if answer["draining"] else "takes players"
    at = f"{answer['latitude']:.1f}, {answer['longitude']:.1f}"
    console.print(_cell(f"{answer['title']} ({answer['region']}) at {at}: {state}, revision {answer['revision']}"))
    regions(console, [answer])
    table = _table(
        "processes", "process", "version", "since (UTC)", "heard", "tick p99 ms>r", "npcs>r", "queued>r", "wait p99>r", "outbox>r", "ops"
    )
    for edge in answer["edges"]:
        report = edge["report"] or {}
        heard = "-" if edge["age_ms"] is None else f"{edge['age_ms'] / 1000:.1f} s ago"
        wait = report.get("queue_wait_ms", {}).get("p99", 0.0)
        late = report.get("tick_lateness_ms", {}).get("p99", 0.0)
        queued, outbox = sum(report.get("queued", {}).values()), report.get("outbox", 0)
        npcs = report.get("npcs", 0)
        _row(table, edge["edge"], edge["version"], _when(edge["started_ms"]), heard, f"{late:.1f}", npcs, queued, seconds(wait), outbox,
             edge["admin_url"])  # fmt: skip
    console.print(table)


def found(console: Console, answer: dict[str, Any]) -> None:
    table = _table("accounts", "name", "player", "since (UTC)", "state")
    for player in answer["players"]:
        _row(table, player["name"], player["player"], _when(player["created_ms"]), "banned" if player["banned"] else "in good standing")
    console.print(table)


def player(console: Console, answer: dict[str, Any]) -> None:
    state = "banned" if answer["banned"] else "in good standing"
    head = f"{answer['name']} ({answer['player']}), since {_when(answer['created_ms'])}, {state}, trust {answer['trust']}"
    console.print(_cell(head))
    for key, text in (("told", "told"), ("waiting", "told once the broker is there")):
        if answer.get(key):
            console.print(_cell(f"{text}: {', '.join(answer[key])}"))
    table = _table("ratings", "mode", "rating>r", "mu>r", "sigma>r", "games>r")
    for mode, rating in sorted(answer["ratings"].items()):
        _row(table, mode, *(f"{rating[key]:.2f}" for key in ("rating", "mu", "sigma")), rating["games"])
    console.print(table)
    if answer["verdicts"]:
        verdicts(console, answer)
    if "live" in answer:
        live(console, answer["live"])


_POOLS: Final = {"observe": "observed", "link": "link bad only in combat"}


def _unjudged(session: dict[str, Any]) -> str:
    """Of the combat of the last minutes, what the anti-cheat did not judge for the network's sake."""
    share = session.get("unjudged")
    return "-" if share is None else f"{share:.0%}"


def live(console: Console, answer: dict[str, Any], title: str = "sessions now") -> None:
    table = _table(title, "region", "process", "state", "mode", "match", "ticket", "rtt>r", "combat unjudged>r", "trust pool")
    for one in answer["sessions"]:
        session = one["session"]
        rtt = "-" if session["rtt_ms"] is None else f"{session['rtt_ms']:.0f} ms"
        state = "connected" if session["connected"] else "away, may resume"
        _row(
            table,
            one["region"],
            one["edge"],
            state,
            session["mode"],
            session["match"],
            session["ticket"],
            rtt,
            _unjudged(session),
            _POOLS.get(session.get("pool", ""), "-"),
        )
    console.print(table)
    silent(console, answer)


def silent(console: Console, answer: dict[str, Any], key: str = "silent") -> None:
    """Who did not answer: an answer that is not whole says so."""
    for one in answer[key]:
        where = "/".join(filter(None, (one["region"], one["edge"])))
        console.print(_cell(f"no answer from {where}: {one['why']}"), style="yellow")


def kicked(console: Console, answer: dict[str, Any]) -> None:
    live(console, answer, "sessions that were ended")


def receipt(console: Console, answer: dict[str, Any]) -> None:
    """What an erasure removed."""
    console.print(_cell(f"erased {answer['player']} at {_when(answer['at_ms'])} UTC, by {answer['by']}"))
    table = _table("removed", "where", "records>r")
    _row(table, "accounts, ratings, placement", answer["global_records"])
    _row(table, "sessions that were live", answer["sessions_ended"])
    for name, count in sorted(answer["regions"].items()):
        _row(table, f"sessions and evidence in {name}", count)
    console.print(table)
    silent(console, answer, "waiting")
    console.print("complete" if answer["complete"] else "not complete: it goes on by itself there once they answer", highlight=False)


def matches(console: Console, answer: dict[str, Any]) -> None:
    table = _table("open matches, newest first", "since (UTC)", "region", "process", "mode", "players", "match")
    for one in answer["matches"]:
        match = one["match"]
        names = " : ".join(", ".join(team["names"]) or "NPCs" for team in match["teams"]) or "NPCs"
        _row(table, _when(match["created_ms"]), one["region"], match["edge"], match["mode"], names, match["match"])
    console.print(table)
    silent(console, answer)


def match(console: Console, answer: dict[str, Any]) -> None:
    console.print(match_screen(answer))


def match_screen(answer: dict[str, Any]) -> RenderableType:
    """One match as it is now."""
    kept, live = answer["match"], answer["live"]
    head = f"{kept['match']}: {kept['mode']} in {answer['region']} on {kept['edge']}, since {_when(kept['created_ms'])} UTC"
    if live is None:
        return Group(_cell(head), _cell(f"its process does not say how it stands: {answer['why']}"))
    score = " : ".join(map(str, live["scores"])) or "none"
    more = f", {live['spectators']} watch" if live["spectators"] else ""
    table = _table("seats", "team>r", "seat>r", "name", "played by", "player")
    for seat in live["seats"]:
        by = "its player" if seat["here"] else f"an NPC, level {seat['npc_level']} {seat['npc_style']}".rstrip()
        _row(table, seat["team"], seat["seat"], seat["name"], by, seat["player"])
    return Group(_cell(head), Text(f"score {score}, {live['remaining_ms'] / 1000:.0f} s to go{more}", style="bold"), table)


def stopped(console: Console, answer: dict[str, Any]) -> None:
    live = answer["live"]
    score = " : ".join(map(str, live["scores"])) or "none"
    console.print(_cell(f"{live['match']} in {answer['region']} {answer['rule']}; it stood {score}"))


def queues(console: Console, answer: dict[str, Any]) -> None:
    table = _table("queues", "region", "mode", "tickets>r", "parties>r", "oldest>r", "matches>r", "matched by", "players' processes")
    for one in answer["queues"]:
        queue = one["queue"]
        where = ", ".join(f"{edge} {count}" for edge, count in queue["edges"].items())
        counts = (queue["tickets"], queue["parties"], seconds(queue["oldest_ms"]), queue["matches"])
        _row(table, one["region"], queue["mode"], *counts, queue["leader"] or "nobody", where)
    console.print(table)
    silent(console, answer)


def shadows(console: Console, answer: dict[str, Any]) -> None:
    """Live rules and those in shadow, two rows a mode."""
    numbers = ("matches>r", "people>r", "mean wait>r", "longest>r", "mean quality>r", "overtaken>r")
    table = _table("rules in shadow", "region", "mode", "rules", *numbers)
    for one in answer["shadows"]:
        for of in ("live", "shadow"):
            seen, overtaken = one["compared"][of], one["compared"]["overtaken"] if of == "shadow" else ""
            cells = (seconds(seen["wait_ms_mean"]), seconds(seen["wait_ms_max"]), f"{seen['quality_mean']:.3f}", overtaken)
            _row(table, one["region"], one["compared"]["mode"], of, seen["matches"], seen["people"], *cells)
    console.print(table)
    silent(console, answer)


def waiting(console: Console, answer: dict[str, Any]) -> None:
    """Why a ticket waits."""
    explained = answer["explained"]
    console.print(_cell(f"{explained['ticket']}: {explained['text']}"), soft_wrap=True)
    if explained.get("rules"):
        table = _table("rules", "rule", "excludes>r", "it alone>r", "admits more in>r")
        for rule in explained["rules"]:
            widens = "never by waiting" if rule.get("next_ms") is None else seconds(rule["next_ms"])
            _row(table, rule["rule"], rule["excludes"], rule["alone"], widens)
        console.print(table)


def decided(console: Console, answer: dict[str, Any]) -> None:
    console.print(_cell(f"{answer['flag']}: {answer['before']} -> {answer['state']}"))
    if answer["state"] == "upheld":
        console.print(_cell(f"to ban: gameedge admin players ban {answer['player']} --reason {answer['flag']}"), soft_wrap=True)


def appealed(console: Console, answer: dict[str, Any]) -> None:
    said = "the same bits" if answer["same"] else "NOT the same"
    counts = f"{answer['shots']} shots in {answer['blocks']} blocks, level {answer['level'] or 'none'}"
    console.print(_cell(f"{answer['flag']}: {said}; {counts}. {answer['detail']}"), soft_wrap=True)


def me(console: Console, answer: dict[str, Any]) -> None:
    until = "does not end" if answer["expires_ms"] is None else f"ends {_when(answer['expires_ms'])} UTC"
    console.print(_cell(f"{answer['name']}, {answer['role']}; the token {until}"))


def token(console: Console, answer: dict[str, Any]) -> None:
    console.print(_cell(f"for {answer['name']}, {answer['role']}, until {_when(answer['expires_ms'])} UTC; it is not shown again:"))
    console.print(answer["token"], markup=False, highlight=False, soft_wrap=True)


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
    if answer.get("combat_s"):
        judged, unjudged = answer["combat_s"]
        text = f"{judged:.0f} s of combat judged, {unjudged:.0f} s not (unsteady, far or gappy link)"
        console.print(_cell(text))
    if answer.get("timeline"):
        table = _table("what contributed", "block>r", "tick>r", "shots>r", "score>r", "p at most>r", "wealth>r")
        for row in answer["timeline"]:
            tick = "-" if row["tick"] is None else row["tick"]  # a block without a shot
            _row(table, row["block"], tick, row["shots"], f"{row['score']:.2f}", f"{row['p']:g}", f"{row['wealth']:.3g}")
        console.print(table)
    if answer.get("repeats"):
        table = _table("movements of the cursor that were an earlier one again", "movement>r", "differ by>r", "wealth>r")
        for row in answer["repeats"]:
            _row(table, row["stroke"], f"{100 * row['differ']:.2f} %", f"{row['wealth']:.3g}")
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
