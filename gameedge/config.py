"""Every configuration key, declared once with its unit, default and reason. TOML files; unknown keys are refused.

`load` reads one file into one struct and names the key that is wrong. docs/operations.md is generated from these declarations.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from gameedge.core import limits
from gameedge.core.errors import ConfigError
from gameedge.core.ids import is_name

Port = Annotated[int, Meta(ge=0, le=65535)]


FILES_SPARE: Final = 128  # open files beside connections: store, broker, log, artifacts


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all sections."""


class Listen(Section, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port; 0 takes a free one")] = 0
    certificate: Annotated[str, Meta(description="PEM file; with `key`, serves TLS")] = ""
    key: Annotated[str, Meta(description="PEM file of the private key")] = ""


class EdgeConfig(Section, frozen=True, kw_only=True):
    """`gameedge edge --config FILE`: one process of a region."""

    region: Annotated[str, Meta(description="the region's name, the same for all its processes")]
    edge: Annotated[str, Meta(description="this process's name, unique in the region")]
    region_title: Annotated[str, Meta(description="what people read", max_length=64)] = ""
    latitude: Annotated[float, Meta(ge=-90, le=90, description="degrees")] = 0.0
    longitude: Annotated[float, Meta(ge=-180, le=180, description="degrees")] = 0.0
    redis: Annotated[
        str,
        Meta(description="the region's store: redis://, redis+cluster:// or redis+sentinel://; memory:// for one process alone"),
    ]
    bus: Annotated[str, Meta(description="the control plane: mqtt://host:port, or memory://")]
    players: Annotated[Listen, Meta(description="where players connect")] = Listen()
    ops: Annotated[Listen, Meta(description="where /healthz, /readyz, /metrics and /drain are")] = Listen()
    public_url: Annotated[str, Meta(description="what players are told; empty: ws://host:port of `players`")] = ""
    token_keys: Annotated[list[str], Meta(description="Ed25519 public keys (base64url) that may sign session tokens")]
    transport: Annotated[str, Meta(description="picows, websockets, or auto: picows when it is installed")] = "auto"
    game: Annotated[str, Meta(description="module:attribute of the Game to host")] = "gameedge.arena:Arena"
    demo: Annotated[bool, Meta(description="short matches, for demos and tests")] = False
    connections_max: Annotated[int, Meta(ge=1, description="players and spectators")] = limits.CONNECTIONS_MAX
    spectators_max: Annotated[int, Meta(ge=0, description="people who may watch matches; 0: nobody")] = limits.SPECTATORS_MAX
    spectate_delay_ms: Annotated[int, Meta(ge=0, le=60_000, description="how old what they see is: watching must not help playing")] = (
        limits.SPECTATE_DELAY_MS
    )
    matches_max: Annotated[int, Meta(ge=1, le=65536, description="open matches")] = limits.MATCHES_MAX
    entities_max: Annotated[int, Meta(ge=2, le=65536, description="seats of all open matches")] = limits.ENTITIES_MAX
    express: Annotated[bool, Meta(description="read and write plain sockets past the transport, where it can be (Linux, no TLS)")] = True
    ping_regions: Annotated[bool, Meta(description="ping other regions: it confirms where regions say they are")] = True
    npc_level: Annotated[int, Meta(ge=1, le=10, description="level of NPCs that fill seats")] = 5
    npc_model: Annotated[str, Meta(description="artifact that plays NPCs (name or name-hash); empty: the scripted policy")] = "npc"
    model_folder: Annotated[str, Meta(description="where artifacts lie; empty: those of the installation")] = ""
    model_keys: Annotated[list[str], Meta(description="Ed25519 public keys (base64url) that may sign artifacts; none: hashes alone")] = []
    model_secret: Annotated[str, Meta(description="file of the 32-byte AES key of encrypted artifacts")] = ""
    model_heights: Annotated[str, Meta(description="file that remembers the newest accepted releases; empty: until a restart")] = ""
    model_kinds: Annotated[list[str], Meta(description="own kinds of models, kind=module:attribute")] = []
    model_backends: Annotated[
        list[str],
        Meta(
            description="ways to run a net that are timed at start, of numpy, kernel, onnxruntime, torch, torch-cuda, torch-cuda-bf16, "
            "engine:PATH (another process's, `gameedge inference`); the fastest at each batch size runs, what is not there is left out; "
            "none named: numpy, kernel, onnxruntime"
        ),
    ] = []
    match_rules: Annotated[str, Meta(description="TOML file of matchmaking rules (docs/matchmaking.md); empty: rating alone")] = ""
    exchange: Annotated[bool, Meta(description="show tickets of thin pools to other regions, for modes whose rules have latency.share")] = (
        True
    )
    match_rules_shadow: Annotated[str, Meta(description="TOML file of rules to compare with the live ones, acting on neither")] = ""
    fill_ms: Annotated[int, Meta(ge=0, description="after this wait a queue is completed with NPCs; 0: never")] = 2_000
    drain_ms: Annotated[int, Meta(ge=0, description="how long a drain waits for running matches")] = 120_000
    traces: Annotated[str, Meta(description="where OpenTelemetry traces go, OTLP/HTTP (needs the extra otel); empty: nowhere")] = ""
    log_level: Annotated[str, Meta(description="debug, info, warning or error")] = "info"

    @property
    def files_needed(self) -> int:
        """Open files of a process that is full; a quarter more connections than players are let in, to be told that it is."""
        return self.connections_max + self.connections_max // 4 + FILES_SPARE


class CoordinatorConfig(Section, frozen=True, kw_only=True):
    """`gameedge coordinator --config FILE`: the gateway; run as many as you like."""

    redis: Annotated[str, Meta(description="the global store: redis://, redis+cluster:// or redis+sentinel://; memory:// for a trial")]
    bus: Annotated[str, Meta(description="the control plane: mqtt://host:port, or memory://")]
    listen: Annotated[Listen, Meta(description="the public and the admin API")] = Listen(port=8080)
    operator_token: Annotated[str, Meta(description="bearer token of the admin API; empty: the admin API is off")] = ""
    token_life_ms: Annotated[int, Meta(ge=1000, description="how long a session token is good for")] = limits.TOKEN_LIFE_MS
    guests_per_minute: Annotated[int, Meta(ge=0, description="sign-ups of one address; 0: no limit")] = 600
    placements_per_minute: Annotated[int, Meta(ge=0, description="placements of one address; 0: no limit")] = 6_000
    operator_failures_per_minute: Annotated[int, Meta(ge=0, description="wrong operator tokens of one address")] = 30
    allow_regions: Annotated[list[str], Meta(description="regions that players may be placed in; empty: all")] = []
    deny_regions: Annotated[list[str], Meta(description="regions that nobody is placed in")] = []
    pin_region: Annotated[str, Meta(description="everybody goes there as long as it takes players; empty: no pin")] = ""
    region_cost_ms: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1000)]], Meta(description="region = what its price is worth in ms of felt latency")
    ] = {}
    residency: Annotated[
        dict[str, list[str]], Meta(description="label of an account = regions that its data may be in; an unknown label: none")
    ] = {}
    accelerator_modes: Annotated[list[str], Meta(description="modes whose models need an accelerator")] = []
    scale_hold_s: Annotated[float, Meta(ge=1, description="a region is too large for so long before it shrinks")] = 300.0
    scale_cool_s: Annotated[float, Meta(ge=1, description="between two processes less")] = 60.0
    exchange: Annotated[bool, Meta(description="bring matches across regions about, for modes whose rules have latency.share")] = True
    trusted_proxies: Annotated[list[str], Meta(description="addresses whose X-Forwarded-For is believed")] = []
    traces: Annotated[str, Meta(description="where OpenTelemetry traces go, OTLP/HTTP (needs the extra otel); empty: nowhere")] = ""
    traces_share: Annotated[float, Meta(ge=0, le=1, description="of the placements, how many are traced")] = 1.0
    log_level: Annotated[str, Meta(description="debug, info, warning or error")] = "info"


class InferenceConfig(Section, frozen=True, kw_only=True):
    """`gameedge inference --config FILE`: one process that runs nets for the edge processes of its machine, as on a GPU."""

    socket: Annotated[
        str, Meta(description="path of the Unix socket; edge processes name it in model_backends as engine:PATH", max_length=100)
    ]
    region: Annotated[str, Meta(description="whose artifacts may be used")] = ""
    model_folder: Annotated[str, Meta(description="where artifacts lie; empty: those of the installation")] = ""
    model_keys: Annotated[list[str], Meta(description="Ed25519 public keys (base64url) that may sign artifacts; none: hashes alone")] = []
    model_secret: Annotated[str, Meta(description="file of the 32-byte AES key of encrypted artifacts")] = ""
    model_backends: Annotated[list[str], Meta(description="as for an edge process; none named: all of this machine but torch's CPU")] = []
    clients_max: Annotated[int, Meta(ge=1, le=1024, description="connections of edge processes")] = limits.ENGINE_CLIENTS_MAX
    log_level: Annotated[str, Meta(description="debug, info, warning or error")] = "info"


C = TypeVar("C", bound=Section)


def load(path: Path, kind: type[C]) -> C:
    """Read a TOML file. Raises ConfigError with the file, the key and what it takes."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path given with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def check_names(config: EdgeConfig) -> None:
    """Raises ConfigError where a name could not stand in topics, keys and URLs."""
    for key, value in (("region", config.region), ("edge", config.edge)):
        if not is_name(value):
            raise ConfigError(f"{key} = {value!r}: use 1 to 32 of a-z, 0-9 and -, not at the ends")
