"""Writes published_networks.npz by torchvision, timm and keras.applications. Run this file.

All three only here: their names and their own forward passes are what is stored.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
sys.path.insert(0, str(Path(__file__).parents[1]))
import keras
import timm
import torch
import torchvision
from golden import published_networks as published


def of_torch(publisher: str, network: str, *, run: bool):
    """Names and shapes, and with `run` the logits."""
    if publisher == "torchvision":
        model = getattr(torchvision.models, network)(num_classes=published.CLASSES)
    else:
        prefix = "tf_" if publisher == "timm tf" else ""
        model = timm.create_model(prefix + published.TIMM[network], num_classes=published.CLASSES)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if not run:
        return shapes, None
    state = {name: torch.tensor(published.tensor(name, shape)) for name, shape in shapes.items()}
    model.load_state_dict(state)
    with torch.no_grad():
        return shapes, model.eval()(torch.tensor(published.images().transpose(0, 3, 1, 2))).numpy()


def of_keras(network: str):
    """Names and shapes, and the logits."""
    keras.backend.clear_session()
    options = {"include_preprocessing": False} if "v3" in network else {}
    model = getattr(keras.applications, published.KERAS[network])(
        weights=None,
        classes=published.CLASSES,
        classifier_activation=None,
        input_shape=published.images().shape[1:],
        **options,
    )
    variables = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    for name, variable in variables.items():
        variable.assign(published.tensor(name, shapes[name]))
    scale = 255 if "efficientnet" in network else 1  # these divide by it themselves
    return shapes, np.asarray(model(scale * published.images(), training=False))


if __name__ == "__main__":
    arrays = {}
    for network in published.TIMM:
        for publisher in ("torchvision", "timm", "timm tf", "keras"):
            run = (publisher, network) in published.CASES
            if not run and publisher not in ("torchvision", "timm"):
                continue
            if publisher == "keras":
                shapes, logits = of_keras(network)
            else:
                shapes, logits = of_torch(publisher, network, run=run)
            key = f"{publisher}/{network}"
            arrays[f"{key}/names"] = np.array(published.digest(shapes))
            if run:
                arrays[f"{key}/shapes"] = np.array(json.dumps(shapes))
                arrays[f"{key}/logits"] = logits.astype(np.float32)
            print(key, len(shapes), flush=True)
    versions = f"torchvision {torchvision.__version__}, timm {timm.__version__}"
    arrays["versions"] = np.array(f"{versions}, keras {keras.__version__}")
    np.savez_compressed(published.GOLDEN, **arrays)
