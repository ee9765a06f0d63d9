"""The settings of the optimiser: rule, learning rate and its schedule, decay, averaging."""

import dataclasses
import math

from imgcls_jax.config.setting import check, setting
from imgcls_jax.errors import UserError
from imgcls_jax.optim import schedules
from imgcls_jax.optim.frameworks import FRAMEWORKS, NAMES, defaults

_POSITIVE = {"holds": lambda x: 0 < x < math.inf, "wanted": "a finite number above 0"}
_FRACTION = {"holds": lambda x: 0 <= x < 1, "wanted": "at least 0 and below 1"}


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """How gradients become updates."""

    optimizer: str = setting("adam", "optimiser", choices=NAMES)
    framework: str = setting("torch", "whose optimiser rule and defaults", choices=FRAMEWORKS)
    lr: float = setting(0.001, "learning rate, the highest of the schedule", **_POSITIVE)
    momentum: float = setting(
        0.0, "momentum of sgd, rmsprop, muon, airbench; 0: the default", **_FRACTION
    )
    nesterov: bool = setting(False, "Nesterov momentum, for sgd; muon always has it")
    lr_scale: tuple[str, ...] = setting(
        (), "PATTERN=FACTOR on the rate of the parameters whose path the pattern matches"
    )
    clip_norm: float | None = setting(
        None,
        "largest norm of all gradients together",
        holds=lambda x: 0 < x < math.inf,
        wanted="above 0",
    )
    weight_decay: float | None = setting(
        None,
        "weight decay; by default the optimiser's own",
        holds=lambda x: 0 <= x < math.inf,
        wanted="at least 0",
    )
    decay: str = setting("all", "what decays: all, kernels, or a regular expression on the path")
    schedule: str = setting("constant", "learning-rate schedule", choices=schedules.NAMES)
    warmup_epochs: float = setting(
        0.0,
        "epochs of linear warm-up before the schedule",
        holds=lambda x: 0 <= x < math.inf,
        wanted="at least 0",
    )
    step_epochs: float | None = setting(
        None,
        "epochs between two drops of the step schedule",
        holds=lambda x: 0 < x < math.inf,
        wanted="above 0",
    )
    step_gamma: float | None = setting(
        None,
        "factor of each drop of the step schedule",
        holds=lambda x: 0 < x <= 1,
        wanted="above 0, at most 1",
    )
    final_fraction: float | None = setting(
        None,
        "last rate of the linear and cosine schedules as a fraction of lr",
        holds=lambda x: 0 <= x <= 1,
        wanted="in [0, 1]",
    )
    ema: float = setting(
        0.0, "decay of an average of the weights, which is then evaluated; 0: none", **_FRACTION
    )

    def __post_init__(self):
        check(self)
        self.lr_scales()
        self._check_schedule()
        self._check_optimizer()

    def lr_scales(self) -> dict[str, float]:
        """Returns `lr_scale` as {pattern: factor}.

        Raises:
          UserError: for an item that is not PATTERN=FACTOR.
        """
        scales = {}
        for item in self.lr_scale:
            pattern, _, factor = item.rpartition("=")
            try:
                scales[pattern] = float(factor)
            except ValueError:
                scales[pattern] = -1.0
            if not (pattern and 0 <= scales[pattern] < math.inf):
                raise UserError(
                    f"`lr_scale={item}` cannot be used; it must be PATTERN=FACTOR with a factor of "
                    "at least 0, such as bias=0.5."
                )
        return scales

    def _check_schedule(self) -> None:
        """Raises UserError for options of a schedule that was not chosen."""
        if self.final_fraction is not None and self.schedule not in ("linear", "cosine"):
            raise UserError(
                "`final_fraction` is for `schedule=linear` and cosine; leave it out with "
                f"`schedule={self.schedule}`."
            )
        if self.schedule == "step" and self.step_epochs is None:
            raise UserError("`schedule=step` needs `step_epochs`, the epochs between two drops.")
        if self.schedule != "step" and (self.step_epochs or self.step_gamma):
            raise UserError(
                "`step_epochs` and `step_gamma` are for `schedule=step`; leave them out with "
                f"`schedule={self.schedule}`."
            )
        if self.schedule == "one_cycle" and self.warmup_epochs:
            raise UserError("`schedule=one_cycle` warms up by itself; give `warmup_epochs=0`.")

    def _check_optimizer(self) -> None:
        """Raises UserError for options that the optimiser does not take."""
        known = defaults(self.optimizer, self.framework)
        for name, value in (("momentum", self.momentum), ("nesterov", self.nesterov)):
            if value and name not in known:
                raise UserError(f"`{name}` is not for `optimizer={self.optimizer}`; leave it out.")
        if self.nesterov and not self.momentum:
            raise UserError("`nesterov` needs a `momentum` above 0, such as 0.9.")
        decay = known["weight_decay"] if self.weight_decay is None else self.weight_decay
        if self.decay != "all" and self.optimizer == "airbench":
            raise UserError("`decay` is not for `optimizer=airbench`; leave it out.")
        if self.decay != "all" and not decay:
            raise UserError(f"`decay={self.decay}` needs a `weight_decay` above 0.")
