"""Model artifacts: found by name, verified before they are parsed, checked against what the code expects.

An artifact is `<name>-<first 12 hex of its sha256>.safetensors`: tensors and text, never code. Its metadata is the manifest:
`kind` (which code reads it), `version` (of that code's features) and what the kind itself wants. In a checkout artifacts are in
models/weights, in an installed wheel in gameedge/weights.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from gameedge.core.anticheat.aim import FEATURE_VERSION, KIND, AimModel
from gameedge.core.errors import ArtifactError

BYTES_MAX: Final = 256 * 1024 * 1024
HASH_DIGITS: Final = 12
_NAME: Final = re.compile(r"([a-z0-9][a-z0-9_-]{0,47})-([0-9a-f]{12})\.safetensors")
_PACKAGE: Final = Path(__file__).resolve().parent.parent
FOLDERS: Final = (_PACKAGE.parent / "models" / "weights", _PACKAGE / "weights")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified artifact. `tensors` are read-only."""

    name: str
    sha256: str
    metadata: Mapping[str, str]
    tensors: Mapping[str, NDArray[np.generic]]

    @property
    def id(self) -> str:
        """What evidence and reports name: `<name>-<sha12>`."""
        return f"{self.name}-{self.sha256[:HASH_DIGITS]}"


def file_name(name: str, data: bytes) -> str:
    """What an artifact with these bytes must be called."""
    return f"{name}-{hashlib.sha256(data).hexdigest()[:HASH_DIGITS]}.safetensors"


def find(name: str, folders: Sequence[Path] = FOLDERS) -> Path:
    """The file of `name`, which may be exact (`aim-0123456789ab`) or not (`aim`: then there must be one only)."""
    for folder in folders:
        if not folder.is_dir():
            continue
        found = []
        for path in sorted(folder.glob("*.safetensors")):
            match = _NAME.fullmatch(path.name)
            if match and name in (match[1], path.stem):
                found.append(path)
        if len(found) > 1:
            raise ArtifactError(f"{name}: expected one file in {folder}, found {', '.join(p.name for p in found)}; name one exactly")
        if found:
            return found[0]
    raise ArtifactError(f"{name}: expected {name}-<hash>.safetensors in {' or '.join(map(str, folders))}, found none")


def read(path: Path) -> Artifact:
    """Read and verify one file. Raises ArtifactError naming what was expected and what was found."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ArtifactError(f"{path.name}: expected a name like aim-0123456789ab.safetensors")
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= BYTES_MAX else b""
    except OSError as error:
        raise ArtifactError(f"{path}: expected a readable file, found: {error.strerror}") from error
    if size > BYTES_MAX:
        raise ArtifactError(f"{path.name}: expected at most {BYTES_MAX} bytes, found {size}")
    return parse(path.name, data)


def parse(file: str, data: bytes) -> Artifact:
    """The artifact in a file's bytes, which must have the hash that its name says. Raises ArtifactError."""
    match = _NAME.fullmatch(file)
    if match is None:
        raise ArtifactError(f"{file}: expected a name like aim-0123456789ab.safetensors")
    digest = hashlib.sha256(data).hexdigest()
    if digest[:HASH_DIGITS] != match[2]:
        raise ArtifactError(f"{file}: expected content with sha256 {match[2]}..., found {digest[:HASH_DIGITS]}...")
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise ArtifactError(f"{file}: expected safetensors, found something else: {error}") from error
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{file}: expected tensors of types that numpy has (write float32), found {error}") from error
    for tensor in tensors.values():
        tensor.flags.writeable = False
    return Artifact(match[1], digest, header.get("__metadata__", {}), tensors)


def expect(artifact: Artifact, metadata: Mapping[str, str], shapes: Mapping[str, Sequence[int | None]]) -> None:
    """Raise ArtifactError unless these metadata and exactly these tensors (None: any length) are in the artifact, finite."""
    for key, wanted in metadata.items():
        found = artifact.metadata.get(key)
        if found != wanted:
            raise ArtifactError(f"{artifact.id}: expected {key} = {wanted}, found {found}")
    if set(shapes) != set(artifact.tensors):
        raise ArtifactError(f"{artifact.id}: expected tensors {sorted(shapes)}, found {sorted(artifact.tensors)}")
    for name, shape in shapes.items():
        tensor = artifact.tensors[name]
        fits = tensor.ndim == len(shape) and all(w is None or w == s for w, s in zip(shape, tensor.shape, strict=True))
        if tensor.dtype != np.float32 or not fits:
            raise ArtifactError(f"{artifact.id}: expected {name} float32 {list(shape)}, found {tensor.dtype} {list(tensor.shape)}")
        if not np.isfinite(tensor).all():
            raise ArtifactError(f"{artifact.id}: expected finite values in {name}, found others")


def load(name: str, folders: Sequence[Path] = FOLDERS) -> Artifact:
    """Find and read."""
    return read(find(name, folders))


def load_aim(name: str = "aim", folders: Sequence[Path] = FOLDERS) -> AimModel:
    """The aim model of the anti-cheat, for `Watch`. Raises ArtifactError."""
    artifact = load(name, folders)
    expect(artifact, {"kind": KIND, "version": str(FEATURE_VERSION)}, AimModel.shapes())
    return AimModel.from_tensors(artifact.id, artifact.tensors)
