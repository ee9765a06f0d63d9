"""Faults in optimisers, schedules and averages."""

from .fault import plant

_RULES = plant(
    "imgcls_jax/optim/__init__.py",
    ("optim/test_optim.py", "optim/test_optim_options.py"),
    adams_epsilon_of_the_other=(
        "each framework's Adam has the other's epsilon",
        "eps_hat = eps if eps_is_hat else eps * root",
        "eps_hat = eps * root if eps_is_hat else eps",
    ),
    decay_ignores_the_schedule=(
        "decoupled decay goes on at the first rate of a schedule",
        "(lambda step: -strength * rate(step))",
        "(lambda step: -strength * rate(0))",
    ),
    clipping_enlarges=(
        "small gradients are brought to the largest norm",
        "factor = jnp.minimum(1.0, max_norm / (optax.tree.norm(gradients) + eps))",
        "factor = max_norm / (optax.tree.norm(gradients) + eps)",
    ),
    rates_scale_by_the_last_match=(
        "of two patterns the last decides the learning rate",
        "found = (f for p, f in scales.items() if",
        "found = (f for p, f in reversed(scales.items()) if",
    ),
)
_DEFAULTS = plant(
    "imgcls_jax/optim/frameworks.py",
    ("optim/test_optim.py", "optim/test_frameworks.py"),
    adamw_decays_little=(
        "PyTorch's AdamW has a hundredth of its decay",
        "eps=1e-8, weight_decay=1e-2",
        "eps=1e-8, weight_decay=1e-4",
    ),
)
_SCHEDULES = plant(
    "imgcls_jax/optim/schedules.py",
    ("optim/test_schedules.py",),
    warmup_begins_at_0=("the first step is wasted", "slope * (step + 1)", "slope * step"),
    decay_begins_before_the_warmup_ends=(
        "the cosine is over before training is",
        "return lambda step: decay(step - warmup_steps)",
        "return lambda step: decay(step)",
    ),
)
_EMA = plant(
    "imgcls_jax/optim/ema.py",
    ("train/test_recalibrate.py", "train/test_training_features.py"),
    average_keeps_its_start=(
        "the average forgets its start ten times as slowly",
        "9.0 / (10.0 + step)",
        "9.0 / (100.0 + step)",
    ),
)
_MUON = plant(
    "imgcls_jax/optim/muon.py",
    ("optim/test_muon.py", "optim/test_muon_labels.py", "optim/test_airbench.py"),
    muon_trains_the_output_layer=(
        "the first dense layer is the companion's for the last",
        "max(dense, key=_closeness_to_output)",
        "min(dense, key=_closeness_to_output)",
    ),
)
_AIRBENCH = plant(
    "imgcls_jax/optim/airbench.py",
    ("optim/test_airbench.py",),
    biases_have_the_heads_rate=(
        "biases learn at the head's rate",
        '"bias$": sgd(_BIAS_RATE)',
        '"bias$": sgd(_HEAD_RATE)',
    ),
)
FAULTS = _RULES + _DEFAULTS + _SCHEDULES + _EMA + _MUON + _AIRBENCH
