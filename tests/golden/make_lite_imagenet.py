"""Writes lite_imagenet.npz by timm and PyTorch. Run this file, with the packages installed."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import timm
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import lite_imagenet

if __name__ == "__main__":
    arrays = {"versions": np.array(f"timm {timm.__version__}, torch {torch.__version__}")}
    for network in lite_imagenet.NETWORKS:
        (place,) = importlib.util.find_spec(
            lite_imagenet.package(network)
        ).submodule_search_locations
        (file,) = Path(place).glob("models/*.pth")
        model = timm.create_model(f"tf_{network}").eval()
        tensors = torch.load(file, weights_only=True).values()  # in the order of timm's
        model.load_state_dict(dict(zip(model.state_dict(), tensors, strict=True)))
        images = lite_imagenet.images(model.default_cfg["input_size"][1])
        pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
        with torch.no_grad():
            arrays[network] = model(pixels).numpy()
        print(network, arrays[network].argmax(1), flush=True)
    np.savez_compressed(lite_imagenet.GOLDEN, **arrays)
