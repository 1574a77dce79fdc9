"""What is known of a running deployment: from the coordinator's admin API and from the bots' lines. No I/O here."""

import statistics
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gameedge.bus.payloads import EdgeReport
from gameedge.coordinator.schemas.world import EdgeStatus, Status, VerdictView

NOTES_MAX: Final = 8  # what happened lately
FAULTS_MAX: Final = 50  # kept in words; all are counted
PLAYERS_MAX: Final = 10_000  # flagged players remembered


class Spread(msgspec.Struct, frozen=True):
    p50: float | None = None
    p99: float | None = None


class Bots(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `python -m loadtest run`, the last one (`t` = summary) included. Unknown fields are ignored."""

    t: str
    players: int = 0
    connected: int = 0
    connected_max: int = 0
    in_match: int = 0
    queued: int = 0
    matches_played: int = 0
    resumes: int = 0
    errors: int = 0
    last_errors: list[str] = []
    input_to_snapshot_ms: Spread = Spread()
    placement_ms: Spread = Spread()
    queue_wait_ms: Spread = Spread()
    cheaters: dict[str, str] = {}  # player id → kind
    by_region: dict[str, object] = {}


@dataclass(slots=True)
class Counted:
    """Counters of one run of one process: a restart begins a new one, and the old is not forgotten."""

    matches_started: int = 0
    matches_finished: int = 0
    npc_actions: int = 0
    errors: int = 0

    def take(self, report: EdgeReport) -> None:
        self.matches_started = max(self.matches_started, report.matches_started)
        self.matches_finished = max(self.matches_finished, report.matches_finished)
        self.npc_actions = max(self.npc_actions, report.npc_actions)
        self.errors = max(self.errors, report.errors)


@dataclass(slots=True)
class Picture:
    """The newest of everything, and what must not be forgotten when the newest changes."""

    status: Status | None = None
    verdicts: list[VerdictView] = field(default_factory=list)
    bots: Bots | None = None
    flagged: dict[str, str] = field(default_factory=dict)  # player → first rule
    cheaters: dict[str, str] = field(default_factory=dict)
    counted: dict[tuple[str, str, int], Counted] = field(default_factory=dict)
    results_applied: int = 0
    connected_max: int = 0
    npc_rate: dict[str, float] = field(default_factory=dict)  # region → actions a second
    npc_models: set[str] = field(default_factory=set)  # that played NPCs at any time
    npc_styles: set[str] = field(default_factory=set)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES_MAX))
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    api_error: str = ""
    _npc_before: dict[str, tuple[float, int]] = field(default_factory=dict)
    _applied: dict[str, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def fault(self, text: str) -> None:
        """Something that should not have happened."""
        self.fault_count += 1
        self.notes.append(text.splitlines()[0])
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(text)

    def hear_status(self, status: Status, now_s: float) -> None:
        """`now_s`: monotonic, for rates."""
        self.status, self.api_error = status, ""
        self._applied[status.coordinator.name] = status.results_applied  # one entry a run of a coordinator
        self.results_applied = sum(self._applied.values())
        for region, edge in self.edges():
            if edge.report is not None:
                self.counted.setdefault((region, edge.edge, edge.started_ms), Counted()).take(edge.report)
                self.npc_models.update(model.stable for model in edge.report.models if model.model == "npc")
                self.npc_styles.update(edge.report.npc_styles)
        for shown in status.regions:
            actions = sum(counted.npc_actions for key, counted in self.counted.items() if key[0] == shown.region)
            before_s, before = self._npc_before.get(shown.region, (now_s, actions))
            if now_s - before_s >= 1.0 or shown.region not in self._npc_before:
                self.npc_rate[shown.region] = (actions - before) / (now_s - before_s) if now_s > before_s else 0.0
                self._npc_before[shown.region] = (now_s, actions)

    def hear_verdicts(self, verdicts: list[VerdictView]) -> None:
        """Newest first."""
        self.verdicts = verdicts
        for view in reversed(verdicts):
            if len(self.flagged) < PLAYERS_MAX:
                self.flagged.setdefault(view.verdict.player, view.verdict.rule)

    def hear_bots(self, line: dict[str, object]) -> None:
        """A line that is not one of the documented form is a fault of the harness."""
        try:
            bots = msgspec.convert(line, Bots, strict=False)
        except msgspec.ValidationError as error:
            self.fault(f"the bots said what cannot be read: {error}")
            return
        if bots.t not in ("bots", "summary"):
            return
        self.bots = bots
        self.cheaters.update(bots.cheaters)
        self.connected_max = max(self.connected_max, bots.connected, bots.connected_max)

    def edges(self) -> Iterator[tuple[str, EdgeStatus]]:
        for region in self.status.regions if self.status else []:
            for edge in region.edges:
                yield region.region, edge

    def reports(self) -> list[EdgeReport]:
        """Of processes that are online."""
        return [edge.report for _, edge in self.edges() if edge.online and edge.report is not None]

    def total(self, name: str) -> int:
        """A counter over all processes and all their runs."""
        return sum(int(getattr(counted, name)) for counted in self.counted.values())

    def who(self, player: str) -> str:
        """The bots know who cheats."""
        return self.cheaters.get(player, "innocent" if self.bots is not None else "unknown")

    def lateness(self) -> tuple[float, float]:
        """p50: the median process; p99: the worst one. Of their last ten seconds."""
        reports = self.reports()
        if not reports:
            return 0.0, 0.0
        return (
            statistics.median(report.tick_lateness_ms.p50 for report in reports),
            max(report.tick_lateness_ms.p99 for report in reports),
        )

    @property
    def errors(self) -> int:
        """Ours, the processes' and the bots'."""
        return self.fault_count + self.total("errors") + (self.bots.errors if self.bots else 0)
