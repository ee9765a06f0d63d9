"""The record that a family of networks declares: its published files and its layers' names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton

# Names the layers of a network: from each layer's path to one publisher's name for it.
Names = Callable[[Skeleton], dict[Path, str]]


@dataclass(frozen=True)
class Origin:
    """The source of weights.

    Attributes:
      publisher: whose names they have: "torchvision", "timm" or "Keras".
      convention: "torch" or "tensorflow", whose padding the network was trained with.
      normalise: the preprocessing of images, see `imgcls_jax.models.normalisation`.
    """

    publisher: str
    convention: str
    normalise: str


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
    def origin(self) -> Origin:
        """Returns the source of these weights."""
        return Origin("timm", self.convention, "imagenet")


@dataclass(frozen=True)
class Network:
    """One network of a family.

    Attributes:
      norms: the number of its norms and of their channels in all. Every layout of every publisher
        keeps both, with or without a classifier, and a file is recognised by them.
      published: its file of ImageNet weights.
      epsilon: the number that torchvision's batch norms add to the variance.
    """

    norms: tuple[int, int]
    published: Published
    epsilon: float = 1e-5


@dataclass(frozen=True)
class Family:
    """Networks whose layers publishers name alike.

    Attributes:
      networks: by their names in `imgcls_jax.models`.
      names: by publisher, "torchvision", "timm" or "Keras". Keras' norms, and its other layers,
        must follow each other as in Keras' model: old files are read by that order.
      keras_normalise: the preprocessing of images by Keras' `preprocess_input`, or by its model
        itself, see `imgcls_jax.models.normalisation`; None where Keras has no such networks.
      keras_dense: Keras' class of our dense layers, "dense" or "conv2d".
      only_timm: the name of a tensor that timm's files have and torchvision's lack; None where both
        have the same names.
      ported: timm's name of a network that it has twice, as trained in PyTorch and, called
        "tf_...", as ported from TensorFlow; None where it has no ports.
      ported_normalise: the preprocessing of images for the ported weights.
      present_name: from the name of a tensor in an older file to the one in `names`.
    """

    networks: Mapping[str, Network]
    names: Mapping[str, Names]
    keras_normalise: str | None = None
    keras_dense: str = "dense"
    only_timm: str | None = None
    ported: str | None = None
    ported_normalise: str = "imagenet"
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
