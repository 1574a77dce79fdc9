"""Where an edge gets its models from: a folder, the keys that may sign what lies in it, and which code reads which kind.

With keys configured, nothing unsigned is used. Without, artifacts are bound to their names by their hashes alone: enough where the
folder came with the installation. A kind is read by built-in code or by a studio's own, named `kind=module:attribute`.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gameedge.core.errors import ArtifactError, ConfigError
from gameedge.inference import artifacts, signing
from gameedge.inference.artifacts import BYTES_MAX, FOLDERS, Artifact
from gameedge.inference.autotune import Tuned
from gameedge.inference.backends import npc_policy, ways
from gameedge.inference.backends.npc_policy import NpcPolicy
from gameedge.inference.backends.numpy_mlp import KIND as MLP_KIND
from gameedge.inference.base import Backend

Factory = Callable[[Artifact, int], Backend]  # artifact, entities_max


def built_in(backends: Sequence[str] = ways.DEFAULT) -> dict[str, Factory]:
    """The kinds that this package reads; `backends`: the ways to run a net that are tried. Raises ConfigError."""
    names = ways.check(backends)

    def npc(artifact: Artifact, entities_max: int) -> Backend:
        def nets(found: Artifact) -> Backend:
            return ways.tuned(found, npc_policy.metadata(), names)

        return NpcPolicy.from_artifact(artifact, entities_max=entities_max, nets=nets)

    return {npc_policy.KIND: npc, MLP_KIND: lambda artifact, entities_max: ways.tuned(artifact, None, names)}


BUILT_IN: Mapping[str, Factory] = built_in()


def factories(texts: Sequence[str], backends: Sequence[str] = ways.DEFAULT) -> dict[str, Factory]:
    """Built-in kinds and a studio's own (`kind=module:attribute`, a function of artifact and entities_max). ConfigError."""
    known = built_in(backends)
    for text in texts:
        kind, _, target = text.partition("=")
        module, _, attribute = target.partition(":")
        try:
            known[kind] = cast(Factory, getattr(importlib.import_module(module), attribute))
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(f"model_kinds: {text!r}: {error}; use kind=module:attribute") from error
    return known


class Depot:
    """Finds, verifies and builds models. Blocking: call it from a thread where the tick runs."""

    def __init__(
        self,
        folders: Sequence[Path] = FOLDERS,
        *,
        keys: Sequence[Ed25519PublicKey] = (),
        secret: bytes | None = None,
        region: str = "",
        heights: signing.Heights | None = None,
        kinds: Mapping[str, Factory] = BUILT_IN,
    ) -> None:
        self._folders, self._keys, self._secret, self._region = tuple(folders), list(keys), secret, region
        self._heights, self._kinds = heights or signing.Heights(), kinds

    def names(self) -> list[str]:
        """Artifacts in the folders, sorted."""
        found = {path.stem for folder in self._folders if folder.is_dir() for path in folder.glob("*.safetensors")}
        return sorted(found)

    def load(self, name: str) -> Artifact:
        """A verified artifact, `name` exact (`npc-0123456789ab`) or not. Raises ArtifactError."""
        if not self._keys:
            return artifacts.load(name, self._folders)
        path = artifacts.find(name, self._folders)
        try:
            signed = path.with_suffix(signing.SUFFIX).read_bytes()
            size = path.stat().st_size
            data = path.read_bytes() if size <= BYTES_MAX else b""
        except OSError as error:
            raise ArtifactError(f"{path.stem}: expected {path.stem}{signing.SUFFIX} beside it, found: {error.strerror}") from error
        manifest = signing.verify(signed, self._keys, path.stem + signing.SUFFIX)
        if size > BYTES_MAX:
            raise ArtifactError(f"{path.name}: expected at most {BYTES_MAX} bytes, found {size}")
        digest = hashlib.sha256(data).hexdigest()
        if manifest.artifact != path.stem or manifest.sha256 != digest:
            raise ArtifactError(
                f"{path.name}: expected {manifest.artifact} with sha256 {manifest.sha256[:12]}... as signed, "
                f"found {path.stem} with {digest[:12]}..."
            )
        if manifest.region not in ("", self._region):
            raise ArtifactError(f"{path.stem}: is signed for region {manifest.region}, this is {self._region}")
        plain = signing.decrypt(data, self._secret, manifest) if manifest.encrypted else data
        artifact = artifacts.parse(path.name, plain)
        for key in ("kind", "version", "layout"):
            if artifact.metadata.get(key, "") != getattr(manifest, key):
                raise ArtifactError(
                    f"{path.stem}: expected {key} = {getattr(manifest, key)} as signed, found {artifact.metadata.get(key, '')}"
                )
        self._heights.accept(manifest)
        return artifact

    def build(self, name: str, entities_max: int) -> Backend:
        """A backend ready to run. Raises ArtifactError."""
        artifact = self.load(name)
        kind = artifact.metadata.get("kind", "")
        factory = self._kinds.get(kind)
        if factory is None:
            raise ArtifactError(f"{artifact.id}: expected one of the kinds {', '.join(sorted(self._kinds))}, found {kind or 'none'}")
        try:
            return factory(artifact, entities_max)
        except ArtifactError:
            raise
        except Exception as error:  # a studio's own code
            raise ArtifactError(f"{artifact.id}: the code of kind {kind} raised {type(error).__name__}: {error}") from error


def tuned_in(backend: Backend) -> Tuned | None:
    """The choice of ways inside a backend, where there is one."""
    net: object = getattr(backend, "net", backend)
    return net if isinstance(net, Tuned) else None
