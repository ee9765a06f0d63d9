"""The settings of training: loss, augmentation, batches, epochs, and what is trained."""

import dataclasses
import math

from imgcls_jax.augment import specs
from imgcls_jax.config.setting import check, setting
from imgcls_jax.data.sampling import SAMPLERS
from imgcls_jax.errors import UserError

LABELS = ("integer", "one_hot")
_AT_LEAST_0 = {"holds": lambda n: n >= 0, "wanted": "at least 0"}
_AT_LEAST_1 = {"holds": lambda n: n >= 1, "wanted": "at least 1"}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The loss that is minimised, the batches, and the length of the training."""

    labels: str = setting("integer", "what the cross-entropy is given", choices=LABELS)
    label_smoothing: float = setting(
        0.0,
        "label smoothing, at least 0 and below 1",
        holds=lambda x: 0 <= x < 1,
        wanted="at least 0 and below 1",
    )
    augment: tuple[str, ...] = setting((), "augmentations in order, as name or name:strength")
    batch_size: int = setting(64, "examples per step", **_AT_LEAST_1)
    accumulate: int = setting(
        1, "micro-batches per step, for batches larger than the memory", **_AT_LEAST_1
    )
    epochs: int = setting(
        15,
        "passes over the training set; 0 evaluates only",
        holds=lambda n: n >= 0,
        wanted="at least 0 (0 evaluates only)",
    )
    seed: int = setting(
        0,
        "seed of initialisation, order, augmentation and dropout",
        holds=lambda n: 0 <= n < 2**31,
        wanted="at least 0 and below 2147483648",
    )
    trainable: str = setting(
        "all", "what is trained: all, a stage such as stage3 and on, or head", of="transfer"
    )
    cache_features: bool = setting(
        True,
        "compute a frozen network's features once, where nothing changes the images",
        of="transfer",
    )
    frozen_norms: bool = setting(False, "batch norms keep and use the statistics they came with")
    head_epochs: int = setting(
        0,
        "epochs of the head alone, on fixed features, before the others",
        **_AT_LEAST_0,
        of="transfer",
    )
    head_lr: float = setting(
        0.001,
        "learning rate of those epochs, which are Adam's",
        holds=lambda x: 0 < x < math.inf,
        wanted="a finite number above 0",
        of="transfer",
    )
    layer_decay: float = setting(
        1.0,
        "factor on the learning rate from a stage to the one below",
        holds=lambda x: 0 < x <= 1,
        wanted="above 0, at most 1",
        of="transfer",
    )
    class_weights: bool = setting(False, "weigh losses so that all classes count the same")
    sampler: str = setting(
        "uniform",
        "how an epoch's examples are drawn, each of them once or all classes equally likely",
        choices=SAMPLERS,
    )
    patience: int = setting(
        0, "epochs without better validation accuracy to stop after; 0: never", **_AT_LEAST_0
    )
    devices: int = setting(
        0,
        "devices that share every batch, of each process; 0: all there are",
        **_AT_LEAST_0,
        binding=False,
    )
    shard_params: str | None = setting(
        None,
        "parameters to cut over the devices, with the optimiser's state of them, where each would "
        "hold them whole: all, kernels, or a regular expression on the path",
        binding=False,
    )

    def __post_init__(self):
        if self.labels.lower().endswith(".csv"):
            raise UserError(
                f"`labels={self.labels}` cannot be used; a table of the photos' labels is given as "
                "`label_file`."
            )
        check(self)
        specs.check(self.augment)
        if self.batch_size % self.accumulate:
            raise UserError(
                f"`accumulate={self.accumulate}` must divide `batch_size={self.batch_size}`."
            )
        if self.class_weights and self.sampler == "balanced":
            raise UserError(
                "`class_weights` and `sampler=balanced` both make all classes count the same; give "
                "one of them."
            )
        if self.trainable == "head" and (self.head_epochs or self.layer_decay < 1):
            raise UserError(
                "`head_epochs` and `layer_decay` are for training more than the head; leave them "
                "out with `trainable=head`."
            )
