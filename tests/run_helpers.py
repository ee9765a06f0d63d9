"""The least that files of a run's folder hold, for tests that train nothing."""

NETWORK = {
    "class_names": ["no", "yes"],
    "image_shape": [8, 8, 1],
    "resize": "crop",
    "normalise": {"name": "unit", "constants": {}},
}
SUMMARY = {
    "run": "a run",
    "data": {"source": "here", "verified": None},
    "parameters": 10,
    "seed": 0,
    "epochs": 1,
    "test_accuracy": 0.5,
    "test_accuracy_interval": [0.4, 0.6],
    "test_loss": 1.0,
    "train_seconds": 2.0,
    "compile_seconds": 1.0,
    "eval_seconds": 0.1,
    "feature_seconds": 0.0,
    "examples_per_second": 100.0,
    "per_class": {},
    "device": "cpu: a processor",
    "versions": {"jax": "0"},
    "git_commit": None,
}
EPOCH = {
    "epoch": 1,
    "step": 10,
    "train_loss": 1.0,
    "train_accuracy": 0.5,
    "train_seconds": 1.0,
    "eval_seconds": 0.1,
}
