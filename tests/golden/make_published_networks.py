"""Writes published_networks.npz by torchvision, timm and keras.applications. Run this file.

All three only here: their names and their own forward passes are what is stored. ML Illustrated's
names come from its package efficientnet-lite-pytorch, whose padding is for one size of images only:
the logits for them are those of timm's port, which has the same layers in the same order.

With names of networks on the command line only theirs are made anew, by what they need of these.
"""

import importlib.metadata
import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
sys.path.insert(0, str(Path(__file__).parents[1]))
import timm
import torch
from golden import published_networks as published


def of_torch(publisher: str, network: str, *, run: bool):
    """Names and shapes, and with `run` the logits."""
    if publisher == "torchvision":
        import torchvision

        model = getattr(torchvision.models, network)(num_classes=published.CLASSES)
    else:
        prefix = "" if publisher == "timm" else "tf_"
        model = timm.create_model(prefix + published.TIMM[network], num_classes=published.CLASSES)
    theirs = model.state_dict()
    if publisher == "ML Illustrated":
        theirs = of_ml_illustrated(network, model)
    shapes = {name: tuple(value.shape) for name, value in theirs.items()}
    if not run:
        return shapes, None
    tensors = [torch.tensor(published.tensor(name, shape)) for name, shape in shapes.items()]
    state = dict(zip(model.state_dict(), tensors, strict=True))
    model.load_state_dict(state)
    with torch.no_grad():
        return shapes, model.eval()(torch.tensor(published.images().transpose(0, 3, 1, 2))).numpy()


def of_ml_illustrated(network: str, port: torch.nn.Module):
    """The state dict of the package's own network, whose shapes are those of timm's port."""
    from efficientnet_lite_pytorch import EfficientNet

    name = network.replace("_", "-")
    theirs = EfficientNet.from_name(name, num_classes=published.CLASSES).state_dict()
    ours = [value.shape for value in port.state_dict().values()]
    assert [value.shape for value in theirs.values()] == ours
    return theirs


def of_keras(network: str):
    """Names and shapes, and the logits."""
    import keras

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


def versions(networks) -> str:
    """The versions of what made the arrays of these networks."""
    packages = ("timm", "efficientnet-lite-pytorch", "torchvision", "keras")
    found = packages[:2] if all("lite" in network for network in networks) else packages
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found)


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(published.TIMM)
    arrays = dict(np.load(published.GOLDEN)) if sys.argv[1:] else {}
    for network in chosen:
        named = published.publishers(network)
        for publisher in (*named, "timm tf", "keras"):
            run = (publisher, network) in published.CASES
            if not run and publisher not in named:
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
    lite = all("lite" in network for network in chosen)
    arrays["versions, Lite" if lite else "versions"] = np.array(versions(chosen))
    np.savez_compressed(published.GOLDEN, **arrays)
