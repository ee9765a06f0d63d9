"""The families of networks that weights are published for, and where a layer stands in one."""

from typing import NamedTuple

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.skeleton import Skeleton

NETWORKS = {
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101"), "resnet"),
    **dict.fromkeys(("densenet121", "densenet169"), "densenet"),
    "mobilenet_v2": "mobilenet_v2",
    **dict.fromkeys(("mobilenet_v3_small", "mobilenet_v3_large"), "mobilenet_v3"),
    **dict.fromkeys((f"efficientnet_b{size}" for size in range(8)), "efficientnet"),
}


class Place(NamedTuple):
    """Where a block is: all counted from 0 but the stage, which is counted from 1."""

    stage: int
    in_stage: int
    of_all: int


def family(model_name: str) -> str:
    """The family of a network.

    Raises:
      UserError: if there are no published weights for it.
    """
    if model_name not in NETWORKS:
        raise UserError(
            f"no published weights fit the model {model_name!r}; use --weights=none or one of the "
            f"models {', '.join(NETWORKS)}."
        )
    return NETWORKS[model_name]


def places(skeleton: Skeleton) -> dict[str, Place]:
    """The place of each block, by its name in our parameters."""
    found = {}
    for stage, members in skeleton.stages.items():
        if stage.startswith("stage"):
            for index, name in enumerate(members):
                found[name] = Place(int(stage.removeprefix("stage")), index, len(found))
    return found


def number(name: str) -> int:
    """The number that Flax gave to a layer: 3 of "Conv_3"."""
    return int(name.rpartition("_")[2])
