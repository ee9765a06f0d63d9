"""Image classification in functional JAX.

Import the modules, not names from here::

    from imgcls_jax import data, models, optim, steps
"""

__version__ = "0.1.0"
