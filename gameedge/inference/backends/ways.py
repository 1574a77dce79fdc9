"""The ways to run a perceptron, by name; those that are wanted and installed are timed against each other (autotune.py)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gameedge.core.errors import ArtifactError, ConfigError
from gameedge.inference.artifacts import Artifact
from gameedge.inference.autotune import Tuned
from gameedge.inference.backends.kernel_mlp import KernelMlp
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.backends.onnx_mlp import OnnxMlp
from gameedge.inference.backends.torch_mlp import TorchMlp
from gameedge.inference.base import Backend
from gameedge.inference.shared import WAIT_MS, SharedNet
from gameedge.telemetry import logs

Way = Callable[[Artifact, Mapping[str, str] | None], Backend]

WAYS: Final[Mapping[str, Way]] = {
    "numpy": NumpyMlp,
    "kernel": KernelMlp,
    "onnxruntime": OnnxMlp,
    "torch": lambda artifact, metadata: TorchMlp(artifact, metadata).prepare("cpu"),
    "torch-cuda": lambda artifact, metadata: TorchMlp(artifact, metadata).prepare("cuda"),
    "torch-cuda-bf16": lambda artifact, metadata: TorchMlp(artifact, metadata).prepare("cuda", "bfloat16"),
}
DEFAULT: Final = ("numpy", "kernel", "onnxruntime")
log = logs.get(__name__)


ENGINE: Final = "engine:"
TRIAL_WAIT_MS: Final = 2_000.0  # for an engine's answers while it is timed; in the tick it is WAIT_MS


def way(name: str) -> Way | None:
    """A way by its name, or None."""
    if name.startswith(ENGINE) and len(name) > len(ENGINE):
        return lambda artifact, metadata: _engine(name[len(ENGINE) :], artifact, metadata)
    return WAYS.get(name)


def _engine(path: str, artifact: Artifact, metadata: Mapping[str, str] | None) -> Backend:
    """The artifact is checked here as well: what comes from elsewhere is not believed."""
    here = NumpyMlp(artifact, metadata)
    try:
        return SharedNet(path, artifact.id, (here.input_size, here.output_size), wait_ms=TRIAL_WAIT_MS)
    except (OSError, ArtifactError, ValueError, KeyError) as error:
        raise ImportError(str(error)) from error


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if all are known. Raises ConfigError."""
    if unknown := [name for name in names if way(name) is None]:
        raise ConfigError(f"model_backends: {', '.join(unknown)} unknown; use {', '.join(WAYS)}, {ENGINE}PATH")
    return tuple(names)


def tuned(artifact: Artifact, metadata: Mapping[str, str] | None = None, names: Sequence[str] = DEFAULT) -> Tuned:
    """The net in the fastest way of this machine, batch size by batch size. numpy is always there: it is the reference.

    metadata: see `NumpyMlp`. A way whose library (or engine process) is not there is left out. Raises ArtifactError.
    """
    candidates: list[Backend] = [NumpyMlp(artifact, metadata)]
    missing = {}
    for name in names:
        if name == "numpy":
            continue
        make = way(name)
        assert make is not None, name
        try:
            candidates.append(make(artifact, metadata))
        except ImportError as error:
            missing[name] = str(error)
    for name, why in missing.items():
        log.info("backend_not_there", model=artifact.id, backend=name, detail=why)
    found = Tuned(candidates)
    found.left_out |= missing
    for candidate in found.candidates:
        if isinstance(candidate, SharedNet):
            candidate.wait_ms = WAIT_MS
    return found
