"""The settings of the network: name, options, pixels, and the weights it starts from."""

import dataclasses
from typing import Any

from imgcls_jax import models
from imgcls_jax.config.setting import check, setting
from imgcls_jax.errors import UserError
from imgcls_jax.models import CONVENTIONS, STEMS, inits, normalisation

PRECISIONS = ("float32", "bfloat16")
HEADS = ("multinomial", "binary", "multi_label")
_OPTIONS = ("widths", "depth", "stem", "convention", "dropout", "stochastic_depth")
_SIZES = {"holds": lambda sizes: all(n >= 1 for n in sizes), "wanted": "sizes of at least 1"}
_RATE = {"holds": lambda x: 0 <= x < 1, "wanted": "at least 0 and below 1"}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network that computes logits from pixels."""

    model: str = setting("mlp", "network", choices=models.NAMES)
    hidden: tuple[int, ...] = setting(
        (), "sizes of the MLP's hidden layers, such as 256,128", **_SIZES
    )
    widths: tuple[int, ...] = setting((), "channels of the stages of cnn and speednet", **_SIZES)
    depth: int | None = setting(
        None,
        "convolutions per group of speednet",
        holds=lambda n: n >= 1,
        wanted="at least 1",
    )
    stem: str | None = setting(None, "first layers of an ImageNet network", choices=STEMS)
    convention: str | None = setting(
        None, f"whose padding and norms a published network has: {', '.join(CONVENTIONS)}"
    )
    dropout: float | None = setting(
        None, "probability of dropout where the network has it", **_RATE
    )
    stochastic_depth: float | None = setting(
        None, "probability of dropping the last block", **_RATE
    )
    init: str | None = setting(
        None, "initialisation, by default the model's own", choices=inits.NAMES
    )
    precision: str = setting(
        "float32",
        "type of the computation, parameters and norms being float32",
        choices=PRECISIONS,
    )
    normalise: str = setting(
        "unit",
        "pixels that the network sees (unit: x / 255; standard: mean 0, deviation 1 per channel of "
        "the training set; whiten: its patches, decorrelated; the others as published weights "
        "expect them)",
        choices=normalisation.NAMES,
    )
    weights: str = setting(
        "none",
        "weights to start from: none, imagenet, or a .safetensors, .pth or .h5 file",
        of="transfer",
    )
    head: str = setting(
        "multinomial",
        "the classifier, multi_label for any number of labels per photo of a `label_file`",
        choices=HEADS,
        of="transfer",
    )

    def __post_init__(self):
        models.require_known(self.model)  # which names those spelled alike
        check(self)
        self.options()

    def options(self) -> dict[str, Any]:
        """Returns the options of `models.create` that are set.

        Raises:
          UserError: for an option that the model does not take.
        """
        given = {name: getattr(self, name) for name in _OPTIONS}
        given["widths"] = self.widths or None
        given["initialisation"] = self.init
        if self.precision != "float32":
            given["dtype"] = self.precision
        if self.hidden or self.model == "mlp":
            given["hidden"] = self.hidden
        given = {name: value for name, value in given.items() if value is not None}
        settings = {"initialisation": "init", "dtype": "precision"}
        for name in set(given) - set(models.options_of(self.model)):
            name = settings.get(name, name)
            raise UserError(f"`{name}` is not for `model={self.model}`; leave it out.")
        return given
