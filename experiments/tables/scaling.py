"""How a training runs on several machines, and what breaks first where there are many.

The text is `scaling.md` beside this module. Its table says what ResNet-50 on ImageNet would need of
8, 64 and 512 accelerators: a model, not a measurement. What one core decodes and what an image
weighs were measured here (`benchmark_streaming.json`); everything else is published, with its
source beside it. The work per accelerator is the same at every size.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

from experiments.tables.files import table
from imgcls_jax.errors import UserError

SIZES = (8, 64, 512)
_TEXT = Path(__file__).with_suffix(".md")
_MEASURED = "benchmark_streaming.json"
_EPOCHS = 90
_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Host:
    """A DGX A100 with eight A100-80GB (NVIDIA, "DGX A100 User Guide"), and the network's rates.

    Attributes:
      accelerators, cores: per host.
      images: trained on per second by one accelerator, mixed precision, batch 256 (NVIDIA,
        DeepLearningExamples, MxNet/Classification/RN50v1.5).
      batch: images per accelerator and step, of that figure.
      inside, between: bytes per second and accelerator each way, by NVLink 3 and by one HDR
        InfiniBand adapter.
      hop: seconds of a small message from one accelerator to another (NCCL, "Understanding NCCL
        Tuning": 5 to 10 us inside a host and between two).
    """

    accelerators: int = 8
    cores: int = 128
    images: float = 2180.0
    batch: int = 256
    inside: float = 300e9
    between: float = 25e9
    hop: float = 8e-6


@dataclasses.dataclass(frozen=True)
class Network:
    """ResNet-50 (He et al. 2016) as `imgcls_jax.models` has it; a test counts.

    Attributes:
      parameters: scalars that train.
      statistics: scalars of the batch norms' running means and variances.
      norms: batch norms, whose sums over the global batch are one exchange each way.
    """

    parameters: int = 25_557_032
    statistics: int = 53_120
    norms: int = 53


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured here of images like ImageNet's.

    Attributes:
      per_core: decoded to 224 x 224 per second and core.
      image_bytes: of an image's file.
    """

    per_core: float
    image_bytes: float


@dataclasses.dataclass(frozen=True)
class Need:
    """What a size comes to; times in seconds, sizes in bytes, rates per second.

    Attributes:
      gradients, norms: of a step, spent on exchanging gradients, and the batch norms' sums.
      step: the whole step, where no exchange hides behind computing.
      images: trained on by all accelerators together.
      cores: per host that decode them; above `Host.cores` the accelerators wait.
      reading: from the files, by all hosts together.
      hours: of 90 epochs.
    """

    accelerators: int
    gradients: float
    norms: float
    step: float
    images: float
    cores: float
    reading: float
    hours: float


def measured(folder: Path) -> Measured:
    """Reads the constants from the result files in a folder.

    Raises:
      UserError: if the file is not there, or is none of that benchmark.
    """
    try:
        found = json.loads((folder / _MEASURED).read_text())
        rate = found["images_per_second"]["stream_threads"]
        return Measured(rate / found["processes"], found["bytes_per_image"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / _MEASURED} cannot be read ({error!r}); make it by the benchmark of "
            "streaming, or name the folder that holds it."
        ) from error


def need(
    accelerators: int,
    of: Measured,
    *,
    host: Host = Host(),
    network: Network = Network(),
    images: int = 1_281_167,
) -> Need:
    """Models the training of `images` images on so many accelerators.

    Gradients are summed within each host first, then between hosts, each accelerator by its own
    adapter with its eighth, both as rings (Patarasuk and Yuan 2009). A sum of batch norm is so
    short that its hops alone count, twice the logarithm of the accelerators as in a tree; there are
    two per norm and step, forwards and backwards.
    """
    inside = min(accelerators, host.accelerators)
    hosts = math.ceil(accelerators / host.accelerators)
    size = _FLOAT_BYTES * network.parameters
    gradients = _ring(size, inside, host.inside, host.hop)
    gradients += _ring(size / inside, hosts, host.between, host.hop)
    norms = 2 * network.norms * 2 * math.log2(max(accelerators, 1)) * host.hop
    step = host.batch / host.images + gradients + norms
    rate = accelerators * host.batch / step
    return Need(
        accelerators=accelerators,
        gradients=gradients,
        norms=norms,
        step=step,
        images=rate,
        cores=rate / hosts / of.per_core,
        reading=rate * of.image_bytes,
        hours=_EPOCHS * images / rate / 3600,
    )


def _ring(size: float, members: int, rate: float, hop: float) -> float:
    """Returns the seconds that a ring of members takes to sum arrays of that many bytes."""
    rounds = 2 * (members - 1)
    return rounds * (size / members / rate + hop)


def checkpoint_bytes(*, slots: int, network: Network = Network()) -> int:
    """Returns the size of a checkpoint, whatever the number of accelerators.

    Args:
      slots: numbers per parameter that the optimiser keeps: 1 for momentum, 2 for Adam.
    """
    return _FLOAT_BYTES * ((1 + slots) * network.parameters + network.statistics)


def page(of: Measured, sizes: Sequence[int] = SIZES) -> list[str]:
    """Returns the table, a column per size."""
    needs, host = [need(size, of) for size in sizes], Host()
    rows = [
        ("step, ms", *(f"{1e3 * n.step:.0f}" for n in needs)),
        ("of it exchanging gradients", *(f"{1e3 * n.gradients:.1f}" for n in needs)),
        ("of it the batch norms' sums", *(f"{1e3 * n.norms:.1f}" for n in needs)),
        ("images/s", *(f"{n.images:,.0f}" for n in needs)),
        ("hours of 90 epochs", *(f"{n.hours:.2f}" for n in needs)),
        (f"cores per host that decode, of {host.cores}", *(f"{n.cores:.0f}" for n in needs)),
        ("reading from one shared store, GB/s", *(f"{n.reading / 1e9:.1f}" for n in needs)),
        ("global batch", *(f"{n.accelerators * host.batch:,}" for n in needs)),
        ("checkpoint, MB (SGD)", *([f"{checkpoint_bytes(slots=1) / 1e6:.0f}"] * len(needs))),
        ("checkpoint, MB (Adam)", *([f"{checkpoint_bytes(slots=2) / 1e6:.0f}"] * len(needs))),
        ("state per accelerator, MB (Adam)", *([f"{_state_bytes() / 1e6:.0f}"] * len(needs))),
    ]
    return table(("accelerators", *map(str, sizes)), rows)


def _state_bytes() -> int:
    """Returns what an accelerator holds of Adam's replicated state, with a gradient."""
    return checkpoint_bytes(slots=2) + _FLOAT_BYTES * Network().parameters


def several_machines(folder: Path) -> list[str]:
    """Returns the section, by the constants measured in `folder`; nothing without them."""
    if not (folder / _MEASURED).exists():
        return []
    return (
        _TEXT.read_text()
        .rstrip()
        .replace("{table}", "\n".join(page(measured(folder))))
        .splitlines()
    )
