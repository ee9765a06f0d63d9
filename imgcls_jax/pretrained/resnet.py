"""Published weights of ResNets: torchvision's, timm's and Keras'."""

from imgcls_jax.pretrained.family import Family, Network, Published, named, number
from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton


def _torch(skeleton: Skeleton) -> dict[Path, str]:
    bottleneck = any("Conv_3" in block.layers for block in skeleton.blocks.values())
    shortcut = 3 if bottleneck else 2  # the number of its convolution, our last

    def inside(block: Block, layer: str) -> str:
        is_conv, index = layer.startswith("Conv"), number(layer)
        where = f"layer{block.stage}.{block.in_stage}"
        if index == shortcut:
            return f"{where}.downsample.{0 if is_conv else 1}"
        return f"{where}.{'conv' if is_conv else 'bn'}{index + 1}"

    return named(skeleton, {"Conv_0": "conv1", "BatchNorm_0": "bn1", "Dense_0": "fc"}, inside)


def _keras(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        index = (number(layer) + 1) % 4  # the shortcut's convolution, our last, is their 0
        kind = "conv" if layer.startswith("Conv") else "bn"
        return f"conv{block.stage + 1}_block{block.in_stage + 1}_{index}_{kind}"

    outside = {"Conv_0": "conv1_conv", "BatchNorm_0": "conv1_bn", "Dense_0": "predictions"}
    return _shortcuts_before_the_last(named(skeleton, outside, inside))


def _shortcuts_before_the_last(names: dict[Path, str]) -> dict[Path, str]:
    """Moves a shortcut's convolution before the last one of the branch, where Keras has it."""
    ordered = list(names)
    for i, path in enumerate(names):
        if path[-1] == "Conv_3":  # its norm is at i + 1, the branch's last two before it
            ordered[i - 2 : i + 2] = [*ordered[i : i + 2], *ordered[i - 2 : i]]
    return {path: names[path] for path in ordered}


FAMILY = Family(
    networks={
        "resnet18": Network(
            norms=(20, 4800),
            published=Published(
                "timm/resnet18.tv_in1k",
                "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81",
                "a987fd6b60f845221bfff84b6f0191273ba56ead",
            ),
        ),
        "resnet34": Network(norms=(36, 8512), published=Published("timm/resnet34.tv_in1k")),
        "resnet50": Network(
            norms=(53, 26560),
            published=Published(
                "timm/resnet50.tv_in1k",
                "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
                "aa6c2d36d56bc0209040c02b5a7b7d7bf11d57b8",
            ),
        ),
        "resnet101": Network(
            norms=(104, 52672),
            published=Published(
                "timm/resnet101.a1_in1k",
                "1ba5b660e7c175b3c27c557fc7dc8b2815be830c516815b0155f61b403f27380",
                "e95c1e3e7cdcc0637817ecc79658817e6dc441bc",
            ),
        ),
    },
    names={"torchvision": _torch, "timm": _torch, "Keras": _keras},
    keras_normalise="caffe",
)
