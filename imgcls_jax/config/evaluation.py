"""The settings of evaluation: which parameters, which views, and when the test set is seen."""

import dataclasses

from imgcls_jax.config.setting import check, setting
from imgcls_jax.errors import UserError
from imgcls_jax.models import tta

EVALUATED = ("last", "best")
_TOP_K, _MANY_CLASSES = 5, 10  # the usual figure of ImageNet (Russakovsky et al. 2015), and where


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
    top_k: int | None = setting(
        None,
        "classes of the highest probabilities among which the true one counts too, as a second "
        "accuracy; by default 5 of more than 10 classes; 0: none",
        holds=lambda k: k == 0 or k >= 2,
        wanted="0 or at least 2",
    )

    def __post_init__(self):
        check(self)

    def top_k_of(self, num_classes: int) -> int | None:
        """Returns `top_k` for data of so many classes; None where there is to be none.

        Raises:
          UserError: if so many classes hold every true one.
        """
        if self.top_k is None:
            return _TOP_K if num_classes > _MANY_CLASSES else None
        if self.top_k >= num_classes:
            raise UserError(
                f"`top_k={self.top_k}` is right whatever is predicted of {num_classes} classes; "
                f"choose less than {num_classes}, or leave it out."
            )
        return self.top_k or None
