"""The ways to run a perceptron, by name; those that are wanted and installed are timed against each other (autotune.py)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gameedge.core.errors import ConfigError
from gameedge.inference.artifacts import Artifact
from gameedge.inference.autotune import Tuned
from gameedge.inference.backends.kernel_mlp import KernelMlp
from gameedge.inference.backends.numpy_mlp import NumpyMlp
from gameedge.inference.backends.onnx_mlp import OnnxMlp
from gameedge.inference.backends.torch_mlp import TorchMlp
from gameedge.inference.base import Backend
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


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if all are known. Raises ConfigError."""
    if unknown := [name for name in names if name not in WAYS]:
        raise ConfigError(f"model_backends: {', '.join(unknown)} unknown; use {', '.join(WAYS)}")
    return tuple(names)


def tuned(artifact: Artifact, metadata: Mapping[str, str] | None = None, names: Sequence[str] = DEFAULT) -> Tuned:
    """The net in the fastest way of this machine, batch size by batch size. numpy is always there: it is the reference.

    metadata: see `NumpyMlp`. A way whose library is not installed is left out. Raises ArtifactError.
    """
    candidates: list[Backend] = [NumpyMlp(artifact, metadata)]
    missing = {}
    for name in names:
        if name == "numpy":
            continue
        try:
            candidates.append(WAYS[name](artifact, metadata))
        except ImportError as error:
            missing[name] = str(error)
    for name, why in missing.items():
        log.info("backend_not_installed", model=artifact.id, backend=name, detail=why)
    found = Tuned(candidates)
    found.left_out |= missing
    return found
