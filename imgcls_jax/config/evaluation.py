"""The settings of evaluation: which parameters, which views, and when the test set is seen."""

import dataclasses

from imgcls_jax.config.setting import check, setting
from imgcls_jax.models import tta

EVALUATED = ("last", "best")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How a network is measured."""

    watch_test: bool = setting(
        False, "evaluate the test set after every epoch too, as Keras' validation_data=test does"
    )
    tta: str = setting("none", "views averaged in evaluation", choices=tta.NAMES)
    evaluate: str = setting("last", "checkpoint that meets the test set", choices=EVALUATED)
    eval_size: int | None = setting(
        None,
        "pixels per side that evaluation enlarges photos to, for training on random crops",
        of="photos",
    )

    def __post_init__(self):
        check(self)
