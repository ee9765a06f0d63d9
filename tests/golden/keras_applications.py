"""`keras.applications` with weights from NumPy seeds, to compare our networks with.

Every Keras layer is given the path that its layer has in our parameters, so both sides draw the
same arrays from NumPy, and only logits are stored.
"""

import re

import numpy as np
from golden import networks

CLASSES, BATCH = networks.CLASSES, 2
# Our name -> theirs, the sides of the images (some odd, all unequal), arguments beside.
CASES = {
    "mobilenet_v2": ("MobileNetV2", (45, 70), {}),
    "mobilenet_v3_small": ("MobileNetV3Small", (70, 45), {"include_preprocessing": False}),
    "mobilenet_v3_large": ("MobileNetV3Large", (45, 70), {"include_preprocessing": False}),
    "efficientnet_b0": ("EfficientNetB0", (45, 70), {}),
    "efficientnet_b2": ("EfficientNetB2", (70, 45), {}),
    "resnet50": ("ResNet50", (45, 70), {}),
    "densenet121": ("DenseNet121", (45, 70), {}),
}
# Factors of the norms' scales with which the logits differ from image to image in each network.
_GAINS = {"mobilenet_v3_small": 1.2, "efficientnet_b0": 1.2, "efficientnet_b2": 1.2}


def weight(case: str, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array at a path of our parameters or running statistics."""
    gain = _GAINS.get(case, 1.0) if path.endswith("/scale") else 1.0
    return np.float32(gain) * networks.weight(path, shape)


def images(case: str) -> np.ndarray:
    """Images (BATCH, H, W, 3) float32, standard normal."""
    rng = np.random.default_rng(40)
    return rng.normal(size=(BATCH, *CASES[case][1], 3)).astype(np.float32)


_EFFICIENTNET = {"dwconv": "depthwise_conv", "bn": "depthwise_norm", "expand_bn": "expand_norm"} | {
    "project_bn": "project_norm", "se_reduce": "squeeze/reduce", "se_expand": "squeeze/expand"
}  # fmt: skip
_MOBILENET = {"expand": "expand_conv", "expand_bn": "expand_norm"} | {
    "depthwise": "depthwise_conv", "depthwise_bn": "depthwise_norm", "project": "project_conv",
    "project_bn": "project_norm", "squeeze_excite_conv": "squeeze/reduce",
    "squeeze_excite_conv_1": "squeeze/expand",
}  # fmt: skip
_ENDS = {
    "mobilenet_v2": {
        "Conv1": "stem_conv", "bn_Conv1": "stem_norm", "Conv_1": "top_conv",
        "Conv_1_bn": "top_norm", "predictions": "head",
    },
    "mobilenet_v3": {
        "conv": "stem_conv", "conv_bn": "stem_norm", "conv_1": "top_conv", "conv_1_bn": "top_norm",
        "conv_2": "top_dense", "logits": "head",
    },
    "efficientnet": {
        "stem_conv": "stem_conv", "stem_bn": "stem_norm", "top_conv": "top_conv",
        "top_bn": "top_norm", "predictions": "head",
    },
    "resnet50": {"conv1_conv": "Conv_0", "conv1_bn": "BatchNorm_0", "predictions": "Dense_0"},
    "densenet121": {
        "conv1_conv": "Conv_0", "conv1_bn": "BatchNorm_0", "bn": "BatchNorm_1",
        "predictions": "Dense_0",
    },
}  # fmt: skip
_BLOCKS = {  # of every stage
    "mobilenet_v2": (1, 2, 3, 4, 3, 3, 1),
    "mobilenet_v3_small": (1, 2, 3, 2, 3),
    "mobilenet_v3_large": (1, 2, 3, 4, 2, 3),
    "resnet50": (3, 4, 6, 3),
    "densenet121": (6, 12, 24, 16),
}


def _inverted(case: str, index: int, layer: str) -> str:
    """Path of a layer of the block with this index, counted from 0 over the whole network."""
    for stage, blocks in enumerate(_BLOCKS[case], 1):
        if index < blocks:
            return f"stage{stage}_block{index + 1}/{_MOBILENET[layer.lower()]}"
        index -= blocks
    raise ValueError(index)


def _densenet(stage: int, block: int, layer: str) -> str:
    """Path of a layer; `block` counts from 1, 0 is the transition before the stage."""
    before = _BLOCKS["densenet121"][: stage - 1]
    first = 2 * sum(before) + len(before)  # of the stage, after its transition
    half = 1 if layer in ("1_bn", "2_conv") else 0
    index = first - 1 if block == 0 else first + 2 * (block - 1) + half
    return f"NormConv_{index}/{'BatchNorm_0' if layer.endswith('bn') else 'Conv_0'}"


def path_of(case: str, layer: str) -> str:
    """The path in our parameters of the Keras layer with this name."""
    family = next(name for name in _ENDS if case.startswith(name))
    if layer in _ENDS[family]:
        return _ENDS[family][layer]
    if case == "resnet50":
        stage, block, index, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(\w+)", layer).groups()
        block = sum(_BLOCKS[case][: int(stage) - 2]) + int(block) - 1
        index = (int(index) - 1) % 4  # theirs counts the shortcut first, as 0
        return f"Block_{block}/{'Conv' if kind == 'conv' else 'BatchNorm'}_{index}"
    if case == "densenet121":
        if match := re.fullmatch(r"pool(\d)_(bn|conv)", layer):
            return _densenet(int(match[1]), 0, match[2])
        stage, block, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\w+)", layer).groups()
        return _densenet(int(stage) - 1, int(block), kind)
    if family == "efficientnet":
        stage, letter, kind = re.fullmatch(r"block(\d)(\w)_(\w+)", layer).groups()
        name = _EFFICIENTNET.get(kind, kind)
        return f"stage{stage}_block{ord(letter) - ord('a') + 1}/{name}"
    match = re.fullmatch(r"(?:block_(\d+)|expanded_conv(?:_(\d+))?)_([a-z]\w*)", layer, re.I)
    return _inverted(case, int(match[1] or match[2] or 0), match[3])


def _kinds(layer) -> list[str]:
    """Our names of a layer's weights, in the order of Keras' `get_weights`."""
    if type(layer).__name__ == "BatchNormalization":
        return ["scale", "bias", "mean", "var"]
    return ["kernel", "bias"] if layer.use_bias else ["kernel"]


def _drawn(case: str, layer, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    ours = shape
    if type(layer).__name__ == "DepthwiseConv2D":
        ours = (*shape[:2], 1, shape[2])
    elif kind == "kernel" and path_of(case, layer.name) in ("top_dense", "head"):
        ours = shape[-2:]  # MobileNetV3's are written as convolutions
    return weight(case, f"{path_of(case, layer.name)}/{kind}", ours).reshape(shape)


def logits(case: str) -> np.ndarray:
    """What the installed Keras returns for `images`, (BATCH, CLASSES), in evaluation."""
    import jax
    import keras

    keras.utils.clear_session()
    name, sides, options = CASES[case]
    model = getattr(keras.applications, name)(
        weights=None,
        classes=CLASSES,
        classifier_activation=None,
        input_shape=(*sides, 3),
        **options,
    )
    for layer in model.layers:
        if layer.weights and type(layer).__name__ != "Normalization":
            shapes = [w.shape for w in layer.get_weights()]
            drawn = zip(_kinds(layer), shapes, strict=True)
            layer.set_weights([_drawn(case, layer, kind, shape) for kind, shape in drawn])
    x = images(case)
    if "efficientnet" in case:
        x = x * 255  # which it divides by inside
    trained = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    evaluate = jax.jit(lambda x: model.stateless_call(trained, fixed, x, training=False)[0])
    return np.asarray(evaluate(x))
