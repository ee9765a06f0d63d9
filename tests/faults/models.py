"""Faults in networks, their layers and their pixels."""

from .fault import plant

_NORMALISATION = plant(
    "imgcls_jax/models/normalisation.py",
    ("models/test_normalisation.py",),
    imagenet_means_are_reversed=(
        "ImageNet's means are blue first",
        "np.array([0.485, 0.456, 0.406])",
        "np.array([0.406, 0.456, 0.485])",
    ),
    imagenet_deviations_are_reversed=(
        "ImageNet's deviations are blue first",
        "np.array([0.229, 0.224, 0.225])",
        "np.array([0.225, 0.224, 0.229])",
    ),
    imagenet_sees_bytes=(
        "ImageNet's moments meet pixels of 0 to 255",
        "return lambda x: scaled(_three_channels(x))",
        "return lambda x: scaled(255 * _three_channels(x))",
    ),
    symmetric_is_half=(
        "symmetric pixels are in [-0.5, 0.5]",
        "return lambda x: 2 * x - 1",
        "return lambda x: x - 0.5",
    ),
    caffe_is_red_first=(
        "caffe keeps red first",
        "flipped(_three_channels(x)[..., ::-1])",
        "flipped(_three_channels(x))",
    ),
    caffe_sees_fractions=(
        "caffe's pixels are in [0, 1]",
        "np.full(3, 1 / 255)",
        "np.ones(3)",
    ),
    deviation_is_variance=(
        "standard divides by the variance",
        "np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))",
        "(share * (values - mean[:, None]) ** 2).sum(axis=1)",
    ),
)
_TTA = plant(
    "imgcls_jax/models/tta.py",
    ("models/test_tta.py",),
    views_weigh_alike=(
        "moved views weigh as much as the others",
        "(1 / 4,) * 2 + (1 / 8,) * 4",
        "(1 / 6,) * 6",
    ),
)
_FREEZING = plant(
    "imgcls_jax/models/freezing.py",
    ("train/test_features.py", "train/test_transfer_chain.py"),
    frozen_layers_have_gradients=(
        "gradients run through frozen stages",
        "jax.lax.stop_gradient(value) if name in modules else value",
        "value",
    ),
    the_body_has_gradients=(
        "gradients run through the frozen body",
        "jax.lax.stop_gradient(features(variables, images))",
        "features(variables, images)",
    ),
    frozen_norms_learn=(
        "norms of frozen stages go by the batch",
        "return next_fun(args[0], False)",
        "return next_fun(args[0], True)",
    ),
    one_stage_too_many_freezes=(
        "the stage that training begins with is frozen too",
        "names[: names.index(trainable)]",
        "names[: names.index(trainable) + 1]",
    ),
)
_LAYERS = plant(
    "imgcls_jax/models/layers.py",
    ("models/test_layers.py", "models/test_transfer_networks.py"),
    running_variance_is_biased=(
        "PyTorch's running variance is the biased one",
        "var * (count / max(count - 1, 1)) if self.unbiased else var",
        "var",
    ),
    branches_drop_by_channel=(
        "stochastic depth drops channels, not images",
        "broadcast_dims=(1, 2, 3)",
        "broadcast_dims=(1, 2)",
    ),
)
FAULTS = _NORMALISATION + _TTA + _FREEZING + _LAYERS
