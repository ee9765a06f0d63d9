"""The flag of commands that train several seeds."""

from absl import flags

from imgcls_jax.train.many import VECTORIZE as _CHOICES

VECTORIZE = flags.DEFINE_enum(
    "vectorize",
    "auto",
    _CHOICES,
    "train seeds (reproduce: and learning rates) in one program; auto: where that is possible and "
    "a trial on a GPU or TPU is faster",
)
