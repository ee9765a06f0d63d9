"""What a builder's source uses of TensorFlow and of packages, read and not run."""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

from imgcls_jax.data.catalog.preparing import stand_in

# What a builder reaches as tfds.core.lazy_imports.NAME -> the module that it is.
_PACKAGES = {"PIL_Image": "PIL", "bs4": "bs4", "skimage": "skimage"}
_LAZY = "tfds.core.lazy_imports."
_LAZY_MODULE = "tensorflow_datasets.core.utils.lazy_imports_utils"
_OWN = "tensorflow_datasets."
_NOT_BUILDERS = ("core", "public_api", "testing", "scripts")


class Uses(NamedTuple):
    """What a builder uses.

    Attributes:
      supplied: names of TensorFlow that stand in `stand_in.NAMES`.
      missing: names of TensorFlow that do not.
      packages: that it imports lazily, or to read from Google's cloud, and that are not installed.
    """

    supplied: tuple[str, ...]
    missing: tuple[str, ...]
    packages: tuple[str, ...]


def of(kind: type) -> Uses:
    """Returns what the modules of a builder's class use, with those that they import of TFDS.

    Function by function nothing is told apart: a name that only one configuration needs counts.
    """
    names = {name for module in _modules(kind) for name in _dotted(module)}
    tensorflow = {name.removeprefix("tf.") for name in names if name.startswith("tf.")}
    lazy = {name.removeprefix(_LAZY).split(".")[0] for name in names if name.startswith(_LAZY)}
    packages = {_PACKAGES.get(name, name) for name in lazy} | set(_other_packages(kind, names))
    supplied = {name for name in tensorflow if stand_in.is_supplied(name)}
    return Uses(
        tuple(sorted(supplied)),
        tuple(sorted(tensorflow - supplied)),
        tuple(sorted(name for name in packages if importlib.util.find_spec(name) is None)),
    )


def _other_packages(kind: type, names: set[str]) -> Iterator[str]:
    """Yields packages that a builder needs in other ways than by TFDS' lazy imports."""
    if any(name.startswith("beam.") for name in names):
        yield "apache_beam"
    if "tfds.core.gcs_path" in names:  # a path in Google's cloud, which the builder opens itself
        yield "gcsfs"
    for node in (node for module in _modules(kind) for node in _tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module == _LAZY_MODULE:
            yield from (alias.name for alias in node.names if alias.name != "tensorflow")


def _tree(module: ModuleType) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(inspect.getsource(module)))


def _modules(kind: type) -> list[ModuleType]:
    """Returns the modules of TFDS that a class and its bases are in, and those that they import."""
    waiting = [base.__module__ for base in kind.__mro__]
    found: dict[str, ModuleType] = {}
    while waiting:
        name = waiting.pop()
        inside = name.startswith(_OWN) and name.split(".")[1] not in _NOT_BUILDERS
        module = sys.modules.get(name)
        # A package's own file imports every builder there is.
        if inside and name not in found and module and not hasattr(module, "__path__"):
            found[name] = module
            waiting += _imported(found[name])
    return list(found.values())


def _imported(module: ModuleType) -> Iterator[str]:
    for node in _tree(module):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def _dotted(module: ModuleType) -> Iterator[str]:
    """Yields every longest dotted name of a module's code, such as "tf.io.gfile.GFile"."""
    nodes = list(_tree(module))
    hints = [node.annotation for node in nodes if isinstance(node, ast.arg | ast.AnnAssign)]
    hints += [node.returns for node in nodes if isinstance(node, ast.FunctionDef)]
    passed = {id(inner) for hint in hints if hint for inner in ast.walk(hint)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and id(node) not in passed:
            parts = [node.attr]
            inner = node.value
            passed.add(id(inner))
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
                passed.add(id(inner))
            if isinstance(inner, ast.Name):
                yield ".".join([inner.id, *reversed(parts)])
