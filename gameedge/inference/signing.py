"""Manifests that say what an artifact is, signed, and artifacts that only the right region can read.

Problem. A model decides what players meet and who is flagged; whoever can put a file onto an edge must not be able to swap it,
roll it back to an older one with known holes, or read it where it was not meant to be.
Method. Beside `<id>.safetensors` lies `<id>.manifest`: 64 bytes of an Ed25519 signature, then the manifest as JSON. The signature,
over a prefix of our own and the very bytes that follow it, is verified before one of them is parsed. The manifest fixes the sha256
of the stored file, so that is verified before it is decrypted, and that before tensors are parsed. An encrypted artifact is
AES-256-GCM with name, version and region as associated data: under another name or in another region it does not open.
    `sequence` grows with each release of a name. An edge keeps the highest it has accepted and refuses lower ones, except by a
manifest that was signed as a rollback from at least that height: an old manifest alone cannot bring an old model back.
Guarantee. Nothing of an artifact is used unless all of that holds; each refusal says what was expected and what was found.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from gameedge.core.errors import ArtifactError, ConfigError

PREFIX: Final = b"gameedge model manifest 1\n"
SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
MANIFEST_BYTES_MAX: Final = 65_536
SUFFIX: Final = ".manifest"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. Unknown fields are ignored, so that newer tools may write for older edges."""

    name: Annotated[str, Meta(max_length=48)]
    artifact: Annotated[str, Meta(max_length=64)]  # <name>-<sha12 of the plain file>
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]  # of the file as it is stored
    kind: Annotated[str, Meta(max_length=64)]
    version: Annotated[str, Meta(max_length=64)]  # of the feature code
    layout: Annotated[str, Meta(max_length=64)] = ""  # of inputs and outputs
    inputs: Annotated[int, Meta(ge=0)] = 0
    outputs: Annotated[int, Meta(ge=0)] = 0
    sequence: Annotated[int, Meta(ge=0, le=2**53)]
    rollback_from: Annotated[int, Meta(ge=0, le=2**53)] = 0  # signed as a rollback from releases up to this one
    region: Annotated[str, Meta(max_length=64)] = ""  # "": every region
    encrypted: bool = False
    metrics: dict[str, float] = {}


_decoder = msgspec.json.Decoder(Manifest)


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """The content of a manifest file."""
    body = msgspec.json.encode(manifest)
    return key.sign(PREFIX + body) + body


def verify(data: bytes, keys: Sequence[Ed25519PublicKey], what: str) -> Manifest:
    """The manifest in a file's bytes. Raises ArtifactError unless one of the keys signed it."""
    if not SIGNATURE_BYTES < len(data) <= MANIFEST_BYTES_MAX:
        raise ArtifactError(f"{what}: expected a signed manifest of at most {MANIFEST_BYTES_MAX} bytes, found {len(data)} bytes")
    signature, body = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
    for key in keys:
        try:
            key.verify(signature, PREFIX + body)
        except InvalidSignature:
            continue
        try:
            return _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArtifactError(f"{what}: signed, but no manifest: {error}") from error
    raise ArtifactError(f"{what}: expected a signature by one of the {len(keys)} keys in model_keys, found none that fits")


def _bound_to(name: str, version: str, region: str) -> bytes:
    return "\0".join((name, version, region)).encode()


def encrypt(data: bytes, key: bytes, name: str, version: str, region: str) -> bytes:
    """nonce + ciphertext + tag. A fresh random nonce each time."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, _bound_to(name, version, region))


def decrypt(data: bytes, key: bytes | None, manifest: Manifest) -> bytes:
    """Raises ArtifactError without the key that it was encrypted with, and where name, version or region are others."""
    if key is None:
        raise ArtifactError(f"{manifest.artifact}: is encrypted; name the key's file in model_secret")
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _bound_to(manifest.name, manifest.version, manifest.region))
    except (InvalidTag, ValueError) as error:
        raise ArtifactError(
            f"{manifest.artifact}: expected content encrypted for {manifest.name} version {manifest.version} "
            f"in region {manifest.region or 'any'} with the key in model_secret; it does not open"
        ) from error


def public_keys(texts: Sequence[str]) -> list[Ed25519PublicKey]:
    """Raises ConfigError for what is no key."""
    keys = []
    for text in texts:
        try:
            keys.append(Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (ValueError, binascii.Error) as error:
            raise ConfigError(f"model_keys: {text!r} is no Ed25519 public key in base64url ({error})") from error
    return keys


def public_text(key: Ed25519PublicKey) -> str:
    """As model_keys takes it."""
    return base64.urlsafe_b64encode(key.public_bytes_raw()).decode().rstrip("=")


def read_secret(path: str) -> bytes | None:
    """The AES key in a file of 32 raw bytes; None where no file is named. Raises ConfigError."""
    if not path:
        return None
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"model_secret = {path!r}: cannot be read ({error.strerror})") from error
    if len(data) != KEY_BYTES:
        raise ConfigError(f"model_secret = {path!r}: expected {KEY_BYTES} bytes, found {len(data)}")
    return data


class Heights:
    """The highest sequence of each name that was accepted, kept in a file where one is named: written whole, then renamed.

    Processes of a machine may share the file: each reads what the others accepted before it judges, and takes nothing of it back."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises ConfigError for a file that is none of this."""
        self._path = path
        self._highest: dict[str, int] = {}
        try:
            self._read()
        except ArtifactError as error:
            raise ConfigError(str(error)) from error

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            raise ArtifactError(f"{self._path}: expected the accepted sequences, found: {error}; restore or remove it") from error
        for name, sequence in found.items():
            self._highest[name] = max(sequence, self._highest.get(name, -1))

    def _write(self, path: Path) -> None:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.write(msgspec.json.encode(self._highest))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError as error:
            raise ArtifactError(f"{path}: the accepted sequence cannot be kept ({error.strerror}); the release is not used") from error

    def accept(self, manifest: Manifest) -> None:
        """Raises ArtifactError for a release older than what was accepted before, unless it is signed as a rollback; and where the file
        cannot be written: what is not remembered could be rolled back."""
        self._read()
        highest = self._highest.get(manifest.name, -1)
        if manifest.sequence < highest and manifest.rollback_from < highest:
            raise ArtifactError(
                f"{manifest.artifact}: release {manifest.sequence} of {manifest.name} is older than release {highest}, which ran here; "
                f"to go back, sign it with rollback_from = {highest} or more"
            )
        if manifest.sequence > highest:
            self._highest[manifest.name] = manifest.sequence
            if self._path is not None:
                try:
                    self._write(self._path)
                except ArtifactError:
                    self._highest[manifest.name] = highest
                    raise


def release(
    folder: Path,
    data: bytes,
    name: str,
    metadata: Mapping[str, str],
    key: Ed25519PrivateKey,
    *,
    sequence: int,
    rollback_from: int = 0,
    region: str = "",
    secret: bytes | None = None,
    metrics: Mapping[str, float] | None = None,
) -> Manifest:
    """Write an artifact and its signed manifest into a folder; `data` is the plain safetensors file, `metadata` its manifest."""
    artifact = f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    version = metadata.get("version", "")
    stored = data if secret is None else encrypt(data, secret, name, version, region)
    manifest = Manifest(
        name=name,
        artifact=artifact,
        sha256=hashlib.sha256(stored).hexdigest(),
        kind=metadata.get("kind", ""),
        version=version,
        layout=metadata.get("layout", ""),
        sequence=sequence,
        rollback_from=rollback_from,
        region=region,
        encrypted=secret is not None,
        metrics=dict(metrics or {}),
    )
    (folder / f"{artifact}.safetensors").write_bytes(stored)
    (folder / f"{artifact}{SUFFIX}").write_bytes(sign(manifest, key))
    return manifest
