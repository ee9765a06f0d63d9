"""Presets of `experiments.cifar10`."""

# He et al. 2016 and Zagoruyko and Komodakis 2016 train on CIFAR like this, but for the cosine.
RESNET = {
    "dataset": "cifar10",
    "model": "resnet20",
    "optimizer": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "warmup_epochs": 1.0,
    "normalise": "standard",
    "augment": ("crop", "flip"),
    "batch_size": 128,
    "epochs": 100,
}


# After airbench94_muon (Jordan 2024), for one GPU; BUILD_NOTES.md says what is different.
SPEEDRUN = {
    "dataset": "cifar10",
    "model": "speednet",
    "precision": "bfloat16",
    "normalise": "whiten",
    "optimizer": "airbench",
    "lr": 0.24,
    "schedule": "linear",
    "label_smoothing": 0.2,
    "augment": ("alternate_flip", "crop_reflect:2"),
    "batch_size": 2000,
    "epochs": 8,
    "tta": "flip_shift",
}


# The same at a quarter of the width, for a CPU, on which small batches are faster and a bias that
# needs the first convolution's gradient by its inputs costs a third of the step.
FAST = SPEEDRUN | {
    "widths": (16, 64, 64),
    "precision": "float32",
    "lr": 0.1,
    # Head and biases keep the rates that go with 0.24.
    "lr_scale": ("^whitened_bias$=0", "^head/=2.4", "bias$=2.4"),
    "batch_size": 125,
    "epochs": 4,
    "tta": "flip",
}


# The highest accuracy in ten minutes of a GPU (Zagoruyko and Komodakis 2016; Yun et al. 2019).
BEST = RESNET | {
    "model": "wrn28_10",
    "precision": "bfloat16",
    "batch_size": 512,
    "lr": 0.2,
    "augment": ("crop", "flip", "cutmix"),
    "epochs": 40,
    "ema": 0.999,
    "tta": "flip",
}


PRESETS = {"resnet": RESNET, "fast": FAST, "speedrun": SPEEDRUN, "best": BEST}
