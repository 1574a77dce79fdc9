"""The table of all metrics. docs/metrics.md is generated from it; `metrics.Registry` makes them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "gameedge_"


class Kind(StrEnum):
    COUNTER = "counter"  # grows; its name ends in _total
    GAUGE = "gauge"  # goes up and down
    HISTOGRAM = "histogram"  # counts by upper bound


LATENESS_MS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 33.0, 66.0, 133.0, 500.0)
DURATION_MS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 33.0, 66.0)
WAIT_MS: Final = (50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 15000.0, 30000.0, 60000.0, 120000.0, 300000.0)
RTT_MS: Final = (5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0, 350.0, 500.0, 1000.0)
ROWS: Final = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is without the prefix; `unit` is what one step means; `reason` says what an operator reads from it."""

    name: str
    kind: Kind
    unit: str
    help: str
    reason: str = ""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

EDGE: Final = (
    # -- who is here
    Metric(
        "edge_info",
        _G,
        "1",
        "Always 1; names this process.",
        "join with other series",
        ("region", "edge", "version", "transport"),
    ),
    Metric("players", _G, "connections", "Players connected now.", "load; placement sees the same figure"),
    Metric("spectators", _G, "connections", "Connections that watch a match.", "against spectators_max"),
    Metric(
        "sessions", _G, "sessions", "Sessions kept, those that wait for a resume included.", "memory; against players, how many are away"
    ),
    Metric("sessions_opened_total", _C, "sessions", "Sessions begun.", labels=("how",), reason="how: new or resumed"),
    Metric("sessions_closed_total", _C, "sessions", "Connections ended.", labels=("reason",), reason="words of docs/protocol.md"),
    Metric("matches", _G, "matches", "Matches open now.", "load, by what is played", labels=("mode",)),
    Metric("entities", _G, "entities", "Seats of open matches.", "against entities_max"),
    Metric("npcs", _G, "entities", "Entities that an NPC plays now.", "what inference has to answer for"),
    # -- the tick
    Metric("ticks_total", _C, "ticks", "Simulation ticks run.", "60 a second; less means overload"),
    Metric("ticks_skipped_total", _C, "ticks", "Ticks given up after a stall.", "time that the game lost"),
    Metric(
        "tick_lateness_ms",
        _H,
        "ms",
        "How late a tick began.",
        "the first sign of overload: p99 stays under 10",
        bounds=LATENESS_MS,
    ),
    Metric("tick_ms", _H, "ms", "Duration of a whole tick.", "above 16.7 the process cannot keep up", bounds=DURATION_MS),
    Metric(
        "tick_stage_ms_total",
        _C,
        "ms",
        "Time spent in each stage of the tick.",
        "drain, gate, step, observe, infer, act, watch, encode, write",
        ("stage",),
    ),
    Metric("tick_busy_ratio", _G, "share", "Share of the last second that ticks used.", "headroom of this core"),
    # -- traffic
    Metric(
        "inputs_total",
        _C,
        "commands",
        "Commands by outcome.",
        "accepted, or why not; a client's fault or a cheat",
        ("outcome",),
    ),
    Metric("refusals_total", _C, "messages", "Control messages refused.", "malformed, too_often and so on", ("reason",)),
    Metric(
        "received_bytes_total", _C, "bytes", "Payload received from players.", "bandwidth in; a jump without players is somebody's flood"
    ),
    Metric("sent_bytes_total", _C, "bytes", "Payload sent to players.", "bandwidth out, most of a region's bill"),
    Metric("snapshots_sent_total", _C, "frames", "Snapshots written.", "20 a second and player; less means skipped ones or a stall"),
    Metric("snapshots_skipped_total", _C, "frames", "Snapshots not sent since the socket was full.", "players with bad lines"),
    Metric("inbox_dropped_total", _C, "commands", "Commands dropped since the tick's inbox was full.", "should stay 0"),
    Metric(
        "rtt_ms",
        _H,
        "ms",
        "Round trip to players, from pings.",
        "whether players are placed near; compare with what they were placed for",
        bounds=RTT_MS,
    ),
    # -- models
    Metric(
        "inference_batch_rows",
        _H,
        "rows",
        "Rows of one batch.",
        "how full batches are: what a faster backend could win",
        labels=("model",),
        bounds=ROWS,
    ),
    Metric("inference_ms", _H, "ms", "Duration of one batch.", "inline while under 1 ms", ("model",), DURATION_MS),
    Metric(
        "inference_answers_total",
        _C,
        "rows",
        "Answers by who gave them: model, held or fallback.",
        "held and fallback grow where the model has no time",
        labels=("model", "by"),
    ),
    Metric(
        "inference_late_total",
        _C,
        "calls",
        "Batches that took longer than their deadline.",
        "a model too slow for this process",
        labels=("model",),
    ),
    Metric(
        "inference_failures_total", _C, "calls", "Batches in which the model raised.", "should stay 0; a broken artifact", labels=("model",)
    ),
    Metric(
        "inference_backend_us",
        _G,
        "us",
        "Median of a batch at start, each way; the fastest runs.",
        "what another backend would cost here",
        labels=("model", "rows", "backend"),
    ),
    Metric("model_rollbacks_total", _C, "rollbacks", "Models that this process took back by itself.", "look at its report"),
    Metric("npc_actions_total", _C, "actions", "Actions that NPCs took.", "the work of NPCs; falls to 0 where they stand still"),
    # -- matchmaking and matches
    Metric(
        "queue_tickets",
        _G,
        "tickets",
        "Tickets waiting in the region.",
        "who waits now; grows where nobody leads or rules are too narrow",
        labels=("mode",),
    ),
    Metric(
        "queue_wait_ms",
        _H,
        "ms",
        "From the ticket to the match.",
        "well under a second with enough players",
        ("mode",),
        WAIT_MS,
    ),
    Metric("matcher_leader", _G, "0 or 1", "Whether this process holds the matcher's lease.", "exactly one 1 a region"),
    Metric(
        "matcher_ms",
        _H,
        "ms",
        "Duration of one pass of the matcher.",
        "above a few ms the matcher takes the tick's time",
        labels=("mode",),
        bounds=DURATION_MS,
    ),
    Metric("claims_total", _C, "claims", "Claims of tickets.", "claimed, or lost to a race", ("outcome",)),
    Metric("shadow_matches_total", _C, "matches", "Of live and shadow rules, beside a shadow.", "acting on neither", ("mode", "rules")),
    Metric("shadow_wait_ms", _G, "ms", "Mean wait of those whom each of the two matched.", "which rules are faster", ("mode", "rules")),
    Metric("shadow_quality", _G, "ratio", "Mean quality of the matches of each of the two.", "which rules are fairer", ("mode", "rules")),
    Metric(
        "shadow_overtaken_total",
        _C,
        "people",
        "Who had a match, or left, before the shadow matched them.",
        "where it is most of them the shadow is slower",
        ("mode",),
    ),
    Metric("matches_offered_total", _C, "matches", "Matches that members were asked to accept.", "against those that ended", ("mode",)),
    Metric("offers_ended_total", _C, "offers", "How they ended.", "accepted, declined, silent, withdrawn", ("mode", "how")),
    Metric(
        "crossings_total",
        _C,
        "tickets",
        "Tickets that this region granted to matches across regions, by how that ended.",
        "met here, sent, arrived, back (queued again), lost (its player came back too late)",
        ("mode", "how"),
    ),
    Metric(
        "seats_filled_total",
        _C,
        "seats",
        "Seats of running matches that people who waited were given.",
        "what backfill does for those who wait",
        ("mode",),
    ),
    Metric("matches_started_total", _C, "matches", "Matches opened.", "against finished and lost: where matches go", labels=("mode",)),
    Metric(
        "matches_finished_total",
        _C,
        "matches",
        "Matches that ended with a result.",
        "each is a result on its way to the ratings",
        labels=("mode",),
    ),
    Metric("matches_lost_total", _C, "matches", "Matches that ended without one.", "a process died", ("mode",)),
    Metric(
        "checkpoints_total",
        _C,
        "checkpoints",
        "States of matches that were put into the store.",
        "two a second and match; none means no failover",
    ),
    Metric("checkpoint_bytes_total", _C, "bytes", "Their size.", "write load on the store"),
    Metric(
        "processes_dead_total",
        _C,
        "processes",
        "Deaths of the region's other processes that this one noticed.",
        "each is worth a look, matches move meanwhile",
    ),
    Metric(
        "matches_adopted_total",
        _C,
        "matches",
        "Matches taken over from a process that died or drained.",
        "failover at work",
        labels=("mode",),
    ),
    Metric(
        "matches_handed_over_total",
        _C,
        "matches",
        "Matches that this process gave away while it drained.",
        "a drain at work",
        labels=("mode",),
    ),
    Metric(
        "adopted_state_age_ms",
        _H,
        "ms",
        "How old the state was that an adopted match went on from.",
        "how much play a death costs; under 1000",
        bounds=RTT_MS,
    ),
    Metric(
        "reroutes_total",
        _C,
        "players",
        "Players told after a match that their way here is much longer than what they were placed for.",
        "routes that changed, or measurements that were forged",
    ),
    # -- watching
    Metric("flags_total", _C, "flags", "Anti-cheat flags raised.", "a jump is a new cheat, or a model that errs", labels=("rule",)),
    Metric(
        "combat_seconds_total",
        _C,
        "seconds",
        "Time that players had an enemy in sight, and whether it was judged: not on unsteady, far or gappy links.",
        "a rising share of no: links that worsen, or somebody who makes them so",
        labels=("judged",),
    ),
    Metric(
        "watched_tickets_total",
        _C,
        "tickets",
        "Tickets in the trust pool of the anti-cheat: observed players, and those whose link is bad only in combat.",
        "more than one in a hundred: the model errs, or many cheat",
        labels=("why",),
    ),
    Metric("evidence_dropped_total", _C, "records", "Evidence that could not be stored.", "the store was away"),
    # -- the world around
    Metric(
        "outbox_results",
        _G,
        "results",
        "Results that no coordinator has acknowledged.",
        "grows while the control plane is away",
    ),
    Metric("store_up", _G, "0 or 1", "Whether the region's store answers.", "0: running matches go on, queues do not"),
    Metric(
        "store_ms", _H, "ms", "Round trip to the region's store.", "queues and results wait this long for every step", bounds=DURATION_MS
    ),
    Metric("bus_up", _G, "0 or 1", "Whether the broker is connected.", "0: results wait in the outbox, operators are not heard"),
    Metric("bus_dropped_total", _C, "messages", "Messages dropped on the bus.", "too slow or too large", ("why",)),
    Metric("errors_total", _C, "errors", "Our own faults, each logged.", "should stay 0", ("where",)),
    Metric("draining", _G, "0 or 1", "Whether this process is going away.", "1 for long: a match that does not end"),
)

COORDINATOR: Final = (
    Metric("coordinator_requests_total", _C, "requests", "HTTP requests.", "traffic, and the share of errors", labels=("route", "status")),
    Metric(
        "coordinator_request_ms",
        _H,
        "ms",
        "Duration of a request.",
        "placement is what players wait for first",
        labels=("route",),
        bounds=DURATION_MS,
    ),
    Metric("coordinator_accounts_total", _C, "accounts", "Accounts signed up.", "newcomers; a jump from one address is throttled"),
    Metric("coordinator_placements_total", _C, "placements", "Placements decided.", "region, or refused", ("region",)),
    Metric(
        "coordinator_crossings_total",
        _C,
        "matches",
        "Matches across regions that were proposed, by how it went.",
        "played, some_missed or nobody_came of those that were opened; failed: a ticket was gone, or nobody had room",
        ("mode", "how"),
    ),
    Metric(
        "coordinator_crossing_rtt_ms",
        _H,
        "ms",
        "Round trip of the worst-placed member of matches across regions.",
        "what far players pay; within the limits of the mode's rules",
        ("mode",),
        bounds=RTT_MS,
    ),
    Metric("coordinator_crossing_tickets", _G, "tickets", "Tickets that regions show to others now.", "of thin pools, mostly"),
    Metric(
        "coordinator_route_changes_total",
        _C,
        "changes",
        "Routes from a place of players to the region that got slower or faster for good.",
        "the network moved; players near it are placed anew",
        labels=("region",),
    ),
    Metric("coordinator_results_total", _C, "results", "Results heard.", "applied, duplicate, or bad", ("outcome",)),
    Metric("coordinator_regions", _G, "regions", "Regions with a process online.", "fewer than deployed: one is away"),
    Metric("coordinator_edges", _G, "processes", "Edge processes online.", "fewer than deployed: one died or drains", labels=("region",)),
    Metric(
        "coordinator_players",
        _G,
        "connections",
        "Players connected, by region.",
        "the world's load as placement sees it",
        labels=("region",),
    ),
    Metric(
        "coordinator_processes_desired",
        _G,
        "processes",
        "How many processes the region should run.",
        "for an autoscaler; up at once, down slowly",
        ("region",),
    ),
    Metric(
        "coordinator_verdicts_total",
        _C,
        "flags",
        "Flags heard from regions.",
        "against flags of the regions: verdicts that got lost",
        labels=("region", "rule"),
    ),
    Metric("coordinator_dashboards", _G, "connections", "Live streams of operators that are connected.", "each costs a message a second"),
    Metric("coordinator_store_up", _G, "0 or 1", "Whether the global store answers.", "0: nobody is placed, results wait"),
    Metric("coordinator_bus_up", _G, "0 or 1", "Whether the broker is connected.", "0: regions are not heard"),
    Metric(
        "coordinator_bus_dropped_total",
        _C,
        "messages",
        "Messages dropped on the bus.",
        "messages of a form or size that nobody should send",
        labels=("why",),
    ),
    Metric(
        "coordinator_events_lost_total",
        _C,
        "events",
        "Events of other coordinators that were not told here.",
        "what `tail` misses: the broker was away, or more happened than is told",
    ),
    Metric("coordinator_errors_total", _C, "errors", "Our own faults, each logged.", "should stay 0", ("where",)),
)
