"""What `gameedge admin doctor` looks at on this machine: children of `gameedge up`, files, limits, the GPU, artifacts and rules."""

import datetime
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gameedge.admin.checks import Finding, fault, ok, warning
from gameedge.admin.found import Running, is_alive
from gameedge.config import EdgeConfig, Listen
from gameedge.core import limits
from gameedge.core.errors import ArtifactError, ConfigError, GameEdgeError

DISK_BYTES_MIN: Final = 1 << 30
PYTHON_MIN: Final = (3, 11)
CERTIFICATE_DAYS: Final = 14


def machine() -> list[Finding]:
    """Python and the GPU."""
    found = []
    text = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON_MIN:
        found.append(fault("python", "this machine", text, f"use Python {'.'.join(map(str, PYTHON_MIN))} or newer"))
    else:
        found.append(ok("python", "this machine", text))
    found.append(_gpu())
    return found


def _gpu() -> Finding:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return ok("gpu", "this machine", "no NVIDIA driver here: models run on the CPU")
    try:
        listed = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return warning("gpu", "this machine", f"nvidia-smi does not answer ({error})", "look at the driver; models run on the CPU")
    if listed.returncode:
        text = (listed.stdout + listed.stderr).strip().splitlines()
        return warning("gpu", "this machine", text[0][:200] if text else "nvidia-smi failed", "look at the driver; models run on the CPU")
    return ok("gpu", "this machine", "; ".join(line.partition(" (UUID")[0] for line in listed.stdout.splitlines())[:200])


def children(running: Running) -> list[Finding]:
    """What `gameedge up` started."""
    found = []
    for part in running.parts:
        if part.pid and is_alive(part.pid):
            state = _state(part.pid)
            if state == "T":
                found.append(fault("child", part.name, f"process {part.pid} is stopped", f"let it go on: kill -CONT {part.pid}"))
            else:
                found.append(ok("child", part.name, f"process {part.pid}"))
        else:
            do = f"`gameedge up` starts it again by itself; if it does not stay, its log says why: {part.log}"
            found.append(fault("child", part.name, f"process {part.pid} is gone", do))
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def files(configs: Iterable[tuple[str, EdgeConfig]], pids: Mapping[str, int]) -> list[Finding]:
    """Open files that each edge process may have, against the players that it is to take."""
    found = []
    for name, config in configs:
        allowed = _files_of(pids.get(name, 0))
        needed = config.files_needed
        text = f"{allowed} open files for {config.connections_max} connections"
        if allowed >= needed:
            found.append(ok("files", name, text))
        else:
            do = f"ulimit -Hn {needed} (systemd: LimitNOFILE={needed}) before it starts, or a smaller connections_max"
            found.append(warning("files", name, text, do))
    return found


def _files_of(pid: int) -> int:
    """The soft limit of a process; where it does not run, or cannot be read, what one that starts here would raise its own to."""
    try:
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith("Max open files"):
                soft = line.split()[3]
                return sys.maxsize if soft == "unlimited" else int(soft)
    except (OSError, ValueError, IndexError):
        pass
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return limits.OPEN_FILES_MAX if hard_limit == resource.RLIM_INFINITY else min(hard_limit, limits.OPEN_FILES_MAX)


def disk(folders: Iterable[Path]) -> list[Finding]:
    """Room for append-only files and logs."""
    found = []
    for folder in dict.fromkeys(folders):
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            found.append(fault("disk", str(folder), f"cannot be read ({error.strerror})", "name another folder"))
            continue
        text = f"{free / (1 << 30):.1f} GiB free"
        do = "make room: a store that cannot append refuses writes"
        found.append(ok("disk", str(folder), text) if free > DISK_BYTES_MIN else warning("disk", str(folder), text, do))
    return found


def artifacts(configs: Sequence[tuple[str, EdgeConfig]]) -> list[Finding]:
    """Each process's models: there, whole, signed where keys are configured, and of a kind that is known."""
    from gameedge.inference import signing  # here, or every command and every TAB would wait for it
    from gameedge.inference.artifacts import FOLDERS, load_aim
    from gameedge.inference.depot import Depot, factories

    try:
        found = [ok("models", "anti-cheat", load_aim().id)]
    except ArtifactError as error:
        found = [fault("models", "anti-cheat", str(error), "install the artifacts again; without it only the exact rules watch")]
    for name, config in configs:
        if not config.npc_model:
            found.append(ok("models", name, "NPCs follow the script; no artifact is named"))
            continue
        try:
            depot = Depot(
                [Path(config.model_folder)] if config.model_folder else FOLDERS,
                keys=signing.public_keys(config.model_keys),
                secret=signing.read_secret(config.model_secret),
                region=config.region,
                kinds=factories(config.model_kinds),
            )
            artifact = depot.load(config.npc_model)
        except (ArtifactError, ConfigError) as error:
            found.append(fault("models", name, str(error), "put the artifact (and its signature) into the folder, or correct npc_model"))
        else:
            how = "signature verified" if config.model_keys else "content matches its name"
            found.append(ok("models", name, f"{artifact.id}: {how}"))
    return found


def rules(configs: Iterable[tuple[str, EdgeConfig]]) -> list[Finding]:
    """Files of matchmaking rules."""
    from gameedge.core.matchmaking import rules as code

    found = []
    for name, config in configs:
        if not config.match_rules:
            continue
        try:
            modes = code.load(Path(config.match_rules).read_text("utf-8"), name=config.match_rules)
            found.append(ok("rules", name, f"{config.match_rules}: {', '.join(modes)}"))
        except (OSError, UnicodeDecodeError, GameEdgeError) as error:
            found.append(fault("rules", name, str(error), "gameedge match check --rules FILE says it at length"))
    return found


def certificates(listens: Iterable[tuple[str, Listen]]) -> list[Finding]:
    """TLS files: readable, and good for a while."""
    from cryptography import x509

    found = []
    for name, listen in listens:
        if not listen.certificate:
            continue
        try:
            made = x509.load_pem_x509_certificate(Path(listen.certificate).read_bytes())
            Path(listen.key).read_bytes()
        except (OSError, ValueError) as error:
            found.append(fault("certificate", name, f"{listen.certificate}: {error}", "name readable PEM files in certificate and key"))
            continue
        left = made.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        text = f"{listen.certificate}: {left.days} days left"
        if left.total_seconds() <= 0:
            found.append(fault("certificate", name, text, "renew it: nobody connects"))
        elif left.days < CERTIFICATE_DAYS:
            found.append(warning("certificate", name, text, "renew it"))
        else:
            found.append(ok("certificate", name, text))
    return found


def secrets_of(paths: Iterable[str]) -> list[Finding]:
    """Files with an operator token or a key that others may read."""
    found = []
    for path in paths:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if mode & 0o044:
            found.append(warning("secrets", path, "others on this machine can read it", f"chmod 600 {path}"))
    return found
