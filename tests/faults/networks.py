"""Faults in the families of networks and in their lowering for a CPU."""

from .fault import plant

_TRANSFER = ("models/test_transfer_networks.py",)
_RESNET = plant(
    "imgcls_jax/models/resnet.py",
    ("models/test_resnet.py", *_TRANSFER),
    resnets_drop_alike=(
        "all branches drop as often as the last",
        "drop_rate=self.stochastic_depth * done / blocks",
        "drop_rate=self.stochastic_depth",
    ),
)
_MOBILENET = plant(
    "imgcls_jax/models/mobilenet.py",
    _TRANSFER,
    v2_has_plain_relu=(
        "MobileNetV2's activations are not cut at 6",
        "activation=nn.relu6,",
        "activation=nn.relu,",
    ),
)
_EFFICIENTNET = plant(
    "imgcls_jax/models/efficientnet.py",
    ("models/test_models.py::test_parameter_counts_are_exact", *_TRANSFER),
    efficientnets_drop_alike=(
        "all branches drop as often as the last",
        "drop_rate=self.stochastic_depth * done / total",
        "drop_rate=self.stochastic_depth",
    ),
    squeeze_is_by_output=(
        "squeeze-and-excitation is a quarter of the result's channels",
        "lite else x.shape[-1] // 4",
        "lite else round_channels(features * width) // 4",
    ),
)
_DENSENET = plant(
    "imgcls_jax/models/densenet.py",
    ("models/test_densenet.py", *_TRANSFER),
    transitions_pool_by_maximum=(
        "transitions take maxima, not means",
        "x = avg_pool(x, 2, 2)",
        "x = max_pool(x, 2, 2)",
    ),
)
_SPEEDNET = plant(
    "imgcls_jax/models/speednet.py",
    ("models/test_speednet.py",),
    logits_are_not_scaled=(
        "the head starts nine times as large",
        "logits.astype(jnp.float32) / 9",
        "logits.astype(jnp.float32)",
    ),
)
_LOWERING = plant(
    "imgcls_jax/models/lowering/depthwise.py",
    ("models/test_conv.py",),
    depthwise_gradient_is_not_flipped=(
        "the images' gradient takes the kernel as it is",
        "_shifted_products(spread, kernel[::-1, ::-1], (1, 1), dilation)",
        "_shifted_products(spread, kernel, (1, 1), dilation)",
    ),
)
FAULTS = _RESNET + _MOBILENET + _EFFICIENTNET + _DENSENET + _SPEEDNET + _LOWERING
