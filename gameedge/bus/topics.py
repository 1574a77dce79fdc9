"""Every topic in one place. `v1` is the version of the payloads (msgspec structs as JSON in `payloads.py`)."""

from gameedge.core.ids import EdgeId, RegionId

ROOT = "gameedge/v1"


def presence(region: RegionId, edge: EdgeId) -> str:
    """Retained: `Presence`; by last will when the process dies."""
    return f"{ROOT}/region/{region}/edge/{edge}/presence"


def report(region: RegionId, edge: EdgeId) -> str:
    """Retained, once or twice a second: `EdgeReport`."""
    return f"{ROOT}/region/{region}/edge/{edge}/report"


def beat(region: RegionId, edge: EdgeId) -> str:
    """Ten times a second, not retained, may be lost: the process lives. The payload is a number that grows."""
    return f"{ROOT}/region/{region}/edge/{edge}/beat"


def results(region: RegionId) -> str:
    """Results on their way out (QoS 1, repeated until acknowledged)."""
    return f"{ROOT}/region/{region}/results"


def acks(region: RegionId) -> str:
    """The outbox positions that a coordinator has applied."""
    return f"{ROOT}/region/{region}/acks"


def desired(region: RegionId) -> str:
    """Retained: `Desired`, what every process of the region converges to."""
    return f"{ROOT}/region/{region}/desired"


def verdicts(region: RegionId) -> str:
    """Flags raised: rule, score and reasons, no telemetry."""
    return f"{ROOT}/region/{region}/verdicts"


def waiting(region: RegionId, mode: str) -> str:
    """`Waiting`: who of a mode waits in the region, for matches across regions; may be lost."""
    return f"{ROOT}/region/{region}/waiting/{mode}"


def proposing(coordinator: str) -> str:
    """Once a second, not retained, may be lost: this coordinator brings matches across regions about. The payload is a number."""
    return f"{ROOT}/coordinator/{coordinator}/proposing"


def ask(region: RegionId, edge: EdgeId) -> str:
    """A coordinator's signed question to one process (gameedge/edge/asks.py)."""
    return f"{ROOT}/region/{region}/edge/{edge}/ask"


def answers(coordinator: str) -> str:
    """`Answer`: to the coordinator that asked. Only coordinators should be able to read it."""
    return f"{ROOT}/coordinator/{coordinator}/answers"


def told(coordinator: str) -> str:
    """`Told`: what a coordinator did itself, for the others' followers of events. Only coordinators should be able to write it."""
    return f"{ROOT}/coordinator/{coordinator}/told"


ALL_PRESENCE = f"{ROOT}/region/+/edge/+/presence"
ALL_BEATS = f"{ROOT}/region/+/edge/+/beat"
ALL_REPORTS = f"{ROOT}/region/+/edge/+/report"
ALL_DESIRED = f"{ROOT}/region/+/desired"
ALL_RESULTS = f"{ROOT}/region/+/results"
ALL_VERDICTS = f"{ROOT}/region/+/verdicts"
ALL_TOLD = f"{ROOT}/coordinator/+/told"
ALL_WAITING = f"{ROOT}/region/+/waiting/+"
ALL_PROPOSING = f"{ROOT}/coordinator/+/proposing"


def parse_edge(topic: str) -> tuple[RegionId, EdgeId] | None:
    """Region and process of a presence or report topic."""
    parts = topic.split("/")
    if len(parts) != 7 or parts[2] != "region" or parts[4] != "edge":
        return None
    return RegionId(parts[3]), EdgeId(parts[5])


def parse_coordinator(topic: str) -> str | None:
    """The coordinator of any topic below `coordinator/`."""
    parts = topic.split("/")
    return parts[3] if len(parts) == 5 and parts[2] == "coordinator" else None


def parse_region(topic: str) -> RegionId | None:
    """The region of any topic below `region/`."""
    parts = topic.split("/")
    return RegionId(parts[3]) if len(parts) >= 5 and parts[2] == "region" else None


def parse_waiting(topic: str) -> tuple[RegionId, str] | None:
    """Region and mode of a `waiting` topic."""
    parts = topic.split("/")
    return (RegionId(parts[3]), parts[5]) if len(parts) == 6 and parts[2] == "region" and parts[4] == "waiting" else None
