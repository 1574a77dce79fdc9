"""The state of the world as this coordinator has it, for the admin API and the live stream."""

from gameedge.coordinator.registry import Edge, Region
from gameedge.coordinator.schemas.world import CoordinatorStatus, EdgeStatus, RegionStatus, Status
from gameedge.coordinator.services import Services


def status_view(services: Services) -> Status:
    """The whole picture as this coordinator has it. Players and matches are of processes that are there."""
    now_ms = services.now_ms()
    regions = sorted(services.registry.regions.values(), key=lambda region: region.region)
    there = [
        edge.report
        for region in regions
        for edge in region.edges.values()
        if edge.report is not None and services.registry.doubt(edge, now_ms) != "offline"
    ]
    return Status(
        regions=[region_status(services, region, now_ms) for region in regions],
        players=sum(report.players for report in there),
        matches=sum(report.matches for report in there),
        results_applied=services.results.applied_count,
        verdicts=services.verdicts.heard_count,
        coordinator=CoordinatorStatus(
            name=services.name,
            version=services.version,
            started_ms=services.started_ms,
            now_ms=now_ms,
            bus_online=services.bus.online,
            store_ms=services.store_ms,
            placements=int(services.metrics.value("coordinator_placements_total")),
            accounts=int(services.metrics.value("coordinator_accounts_total")),
            dropped=dict(services.registry.dropped),
        ),
    )


def region_status(services: Services, region: Region, now_ms: int) -> RegionStatus:
    return RegionStatus(
        region=region.region,
        title=region.title,
        latitude=region.latitude,
        longitude=region.longitude,
        draining=region.desired.draining,
        revision=region.desired.revision,
        edges=[edge_status(services, region, edge, now_ms) for _, edge in sorted(region.edges.items())],
        processes_desired=services.scale.desired.get(region.region, 0),
    )


def edge_status(services: Services, region: Region, edge: Edge, now_ms: int) -> EdgeStatus:
    presence = edge.presence
    doubt = services.registry.doubt(edge, now_ms)
    return EdgeStatus(
        edge=edge.edge,
        online=doubt != "offline",
        doubt=doubt,
        draining=region.desired.draining
        or edge.edge in region.desired.draining_edges
        or (edge.report is not None and edge.report.draining),
        url=edge.url,
        admin_url=presence.admin_url if presence is not None else "",
        version=presence.version if presence is not None else "",
        started_ms=presence.started_ms if presence is not None else 0,
        age_ms=None if edge.heard_ms is None else max(0, now_ms - edge.heard_ms),
        report=edge.report,
    )
