"""Every bound in one table: what is bounded, by how much, and what happens when it is reached.

Policies: `refuse` (a reason goes back), `drop` (the newest is dropped and counted), `drop oldest`, `skip` (the next one
carries it), `pause` (reading stops until there is room), `close` (the connection ends with a reason).
"""

from typing import Final

# -- sockets
FRAME_BYTES_MAX: Final = 4096  # one message from a client; close
HANDSHAKE_MS_MAX: Final = 5_000  # from TCP accept to a valid hello; close
HANDSHAKES_MAX: Final = 4_096  # sockets that have not finished the WebSocket upgrade; dropped at once
CLOSE_MS_MAX: Final = 2_000  # for a peer's part in a close handshake; then dropped
OPEN_FILES_MAX: Final = 65_536  # that an edge process asks its system for; it may get fewer
CONNECTIONS_MAX: Final = 4_096  # of one process, spectators included; refuse
WRITE_BUFFER_BYTES_SKIP: Final = 16_384  # waiting in a socket: snapshots are skipped
WRITE_BUFFER_BYTES_MAX: Final = 262_144  # waiting in a socket: close

# -- sessions
BEACON_PINGS_MAX: Final = 8  # pings of a connection that has said no hello; close
SPECTATORS_MAX: Final = 64  # of one process; refuse
SPECTATORS_PER_MATCH_MAX: Final = 16  # refuse
SPECTATE_DELAY_MS: Final = 3_000  # what spectators see is this old: watching must not help those who play
WATCHABLE_MAX: Final = 8  # matches that a process names in its reports for who wants to watch; the newest ones
HEARTBEAT_MS: Final = 5_000  # a client that is silent for this long is pinged
IDLE_MS_MAX: Final = 15_000  # silent for this long: the connection is closed, the session may be resumed
RESUME_MS_MAX: Final = 30_000  # a session without a connection is kept for this long
SESSIONS_AT_ONCE: Final = 128  # records read or written by one call to the store; the rest goes with the next call
RESUMES_WAITING_MAX: Final = 8_192  # sessions of other processes that wait to go on here; refuse
UNACKED_MESSAGES_MAX: Final = 256  # critical messages kept for a resume; close
TOKEN_LIFE_MS: Final = 3_600_000
TOKEN_BYTES_MAX: Final = 2_048
TRACEPARENT_CHARS: Final = 55  # W3C trace context, in a token and in a header; anything longer is none
NAME_CHARS_MAX: Final = 32
REGIONS_MAX: Final = 256
SPOTS_REPORTED_MAX: Final = 64  # places whose round trips one report tells; the largest ones
SPOT_PLAYERS_MIN: Final = 5  # players of a place below which nothing about it leaves the region
EDGES_PER_REGION_MAX: Final = 256  # the one that went offline first is forgotten, else drop

# -- rates, a second (and the burst that one stall may release at once)
COMMANDS_PER_S: Final = 20
COMMANDS_BURST: Final = 24
CONTROL_PER_S: Final = 5
CONTROL_BURST: Final = 20
CONTROL_FRAMES_PER_S: Final = 16  # pings, pongs and empty fragments of one connection; close
CONTROL_FRAMES_BURST: Final = 64
REFUSALS_MAX: Final = 64  # refusals within ten seconds; close
COMMANDS_DROPPED_MAX: Final = 2_000  # commands over the budget within ten seconds; close (a cheat at ten times the rate is seen)

# -- commands
SUBTICKS_PER_COMMAND: Final = 3
INBOX_COMMANDS_MAX: Final = 16_384  # of one process within a tick; drop
INPUT_BUFFER_SUBTICKS: Final = 32  # of one entity; drop oldest

# -- matches of one process
MATCHES_MAX: Final = 1_024
ENTITIES_MAX: Final = 4_096
SEATS_PER_MATCH_MAX: Final = 32
MATCH_MS_MAX: Final = 3_600_000
JOIN_MS_MAX: Final = 15_000  # seats that nobody took by then are given to NPCs

# -- matchmaking
POOL_TICKETS_MAX: Final = 200_000  # of one mode in one region; refuse
PARTY_MAX: Final = 5
TICKET_MS_MAX: Final = 600_000  # then the player is told
POOL_FULL_RETRY_MS: Final = 5_000  # who is refused by a full pool hears to try again after this
TICKETS_AT_ONCE: Final = 256  # queued by one call to the store; the rest goes with the next call
CLAIMS_AT_ONCE: Final = 32  # matches claimed by one call to the store; the rest goes with the next call
FEED_ENTRIES_MAX: Final = 4_096  # changes of a pool that its store remembers; who was away for longer reads the whole pool
FEED_READ_MAX: Final = 20_000  # changes read at once; then read on
LEASE_MS: Final = 1_000  # a matcher that is silent for this long is replaced
TICKET_ATTRIBUTES_MAX: Final = 16  # refuse, as are the next four
TICKET_WORDS_MAX: Final = 32  # of one attribute that is a set
TICKET_WORD_CHARS_MAX: Final = 64
TICKET_REGIONS_MAX: Final = 32  # with a round trip
TICKET_BLOCKS_MAX: Final = 64
RTT_MS_MAX: Final = 60_000  # a round trip that a client reports
TOKEN_REGIONS_MAX: Final = 8  # round trips in a session token; the nearest ones
SET_VALUES_MAX: Final = 64  # different values of one set rule that a pool knows at once; a ticket with more waits and is told why
CROSSING_SHOWN_MAX: Final = 64  # tickets of a mode that a region shows to others; those who may travel, and the oldest, first
CROSSING_BYTES_MAX: Final = 131_072  # of them on the bus; the youngest are left out
CROSSING_RULES_BYTES_MAX: Final = 16_384  # of a mode's rules beside them; longer ones stay at home
CROSSINGS_MAX: Final = 64  # matches that a coordinator brings about at once; more wait for the next look
CROSSINGS_OVER_MAX: Final = 256  # matches of guests that are over, of which a process still knows who came
CROSSING_GRANT_MS: Final = 8_000  # a ticket that its region granted and that was sent nowhere by then waits on at home
CROSSING_JOIN_MS: Final = 10_000  # from the opening of a match across regions: then seats that nobody took are void
CROSSING_BACK_MS: Final = 13_000  # from the sending: then the home region takes back who did not go
CROSSING_STALE_MS: Final = 60_000  # a grant that its process forgot is ended by the matcher
EDGE_BEAT_MS: Final = 100
EDGE_DEAD_MS: Final = 2_000  # an edge process that is silent for this long is dead

# -- state
OUTBOX_RESULTS_MAX: Final = 100_000  # of a region; new matches are refused before one is lost
INBOX_EVENTS_MAX: Final = 10_000  # of one edge process; drop oldest
EVIDENCE_BYTES_MAX: Final = 65_536
EVIDENCE_PER_PLAYER_MAX: Final = 64  # drop oldest
EVIDENCE_LIFE_MS: Final = 30 * 86_400_000
EVIDENCE_TOTAL_MAX: Final = 20_000  # of a region; drop oldest
INBOX_LIFE_MS: Final = 600_000  # an inbox that nobody wrote to for this long is forgotten
INBOX_READ_MAX: Final = 256  # events taken at once
APPLIED_LIFE_MS: Final = 7 * 86_400_000  # for this long a repeated result is known to have been applied
AUDIT_ENTRIES_MAX: Final = 10_000  # drop oldest
STORE_WAIT_MS_MAX: Final = 1_500  # a store that answers later than this counts as unavailable
STORE_BLOCK_MS_MAX: Final = 10_000  # one wait for an inbox

# -- bus
BUS_PAYLOAD_BYTES_MAX: Final = 262_144  # drop, counted
BUS_QUEUE_MAX: Final = 10_000  # waiting for the broker; drop oldest (results stay in the outbox)

# -- HTTP
BODY_BYTES_MAX: Final = 65_536
HTTP_CONNECTIONS_MAX: Final = 4_096  # of one coordinator; refuse
PLACEMENT_LIFE_MS: Final = 86_400_000  # for this long a coordinator can explain a placement
RTT_SAMPLES_MAX: Final = 16  # of one region in a placement; refuse
MATCHES_LISTED_MAX: Final = 100  # in one answer
ADDRESSES_MAX: Final = 16_384  # remembered by a rate limit; the one that was quiet longest is forgotten
VERDICTS_MAX: Final = 1_000  # kept in a coordinator's memory; drop oldest
RESULTS_QUEUE_MAX: Final = 1_000  # heard and not yet applied; drop the newest (the region sends it again)

ACCOUNTS_FOUND_MAX: Final = 100  # in one answer
VERSIONS_MAX: Final = 500  # of a document in the global store; drop oldest
BLOCKED_MAX: Final = 1_000  # players that a region turns away until their tokens have ended; the one that ends first goes
MODELS_DESIRED_MAX: Final = 16  # of a region's desired state; the last by name goes
DESIRED_CHANGES_MAX: Final = 1_024  # of a region's desired state that coordinators can still merge; the oldest is taken as settled
EVENTS_KEPT_MAX: Final = 4_096  # of a coordinator, for those who follow; drop oldest
EVENTS_TOLD_MAX: Final = 256  # in one message to the other coordinators, and of those that wait to be told; drop oldest, counted
EVENTS_WAITING_MAX: Final = 64  # requests that wait for events; refuse
OPERATOR_TOKEN_LIFE_MS_MAX: Final = 7 * 86_400_000  # refuse

ASKS_OPEN_MAX: Final = 64  # questions of a coordinator that wait for a region; refuse
ASK_BYTES_MAX: Final = 65_536  # of a question with its token; refuse
ASKS_REMEMBERED_MAX: Final = 512  # numbers of questions that a process answered; older ones have expired by then

DASHBOARDS_MAX: Final = 64  # live streams of one coordinator; refuse
DASHBOARDS_COMING_MAX: Final = 32  # live streams that have sent no token yet (5 s each); refuse

# -- the engine process
ENGINE_CLIENTS_MAX: Final = 64  # connections of edge processes; refuse
ENGINE_ROWS_MAX: Final = 4_096  # of one request; more are sent in turn
ENGINE_MODELS_MAX: Final = 16  # nets in memory; those without a client are forgotten, else refuse
ENGINE_HELLO_S_MAX: Final = 5.0  # until a connection says what it wants; close
ENGINE_LOAD_S_MAX: Final = 60.0  # that an edge process waits for a net to be loaded and timed

# -- telemetry
METRIC_SERIES_MAX: Final = 512  # label combinations of one metric; the rest is counted as `other`
LOG_VALUE_CHARS_MAX: Final = 2_048  # of one field of a log line; cut
