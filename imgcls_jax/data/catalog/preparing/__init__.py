"""Preparing stock TFDS data sets without TensorFlow, which is neither needed nor imported.

preparing.prepare(tfds.builder("mnist"))

| preparation | the one door: a builder in, the folder of its array records out |
| stand_in | the stand-in for the name `tensorflow`, scoped |
| encoding, jpeg, gfile, tensors | what stands behind its names |
| extraction | archives, within bounds |
| manager | downloads, and files that are at hand |
| failures | any failure in one sentence |
"""

from imgcls_jax.data.catalog.preparing.preparation import prepare

__all__ = ["prepare"]
