"""Names of all networks in state dicts, and how a file's network is recognised."""

from functools import cache

import numpy as np
import pytest
from golden import published_networks as published

from imgcls_jax import models
from imgcls_jax.pretrained import families, matching, skeleton
from imgcls_jax.pretrained.files import TensorFile

QUICK = ("resnet18", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_lite0")
NETWORKS = [
    pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in families.NETWORKS
]
STATE_DICTS = [
    pytest.param(p, n, marks=[] if n in QUICK else [pytest.mark.slow])
    for n in families.NETWORKS
    for p in published.publishers(n)
]


@cache
def trace(network: str, convention: str = "torch") -> skeleton.Skeleton:
    model = models.create(network, num_classes=3, convention=convention)
    return skeleton.trace(model, (33, 33, 3))


@pytest.mark.parametrize(("publisher", "network"), STATE_DICTS)
def test_names_in_state_dicts(publisher, network):
    """Compares a digest of all names with that from the publishers' own models."""
    empty = TensorFile(None, "torch", {}, None)
    names = families.family(network).names[publisher](trace(network))
    report, kept = matching.match(empty, trace(network), names)
    head = [f"{names[trace(network).head,]}.{kind}" for kind in ("weight", "bias")]
    assert report.replaced_head == "the file has no classifier"
    assert (
        published.digest([*kept.values(), *head])
        == np.load(published.GOLDEN)[f"{publisher}/{network}/names"]
    )


@pytest.mark.parametrize(("publisher", "network"), published.CASES)
def test_networks_are_recognised(publisher, network):
    layout = "keras" if publisher == "keras" else "torch"
    shapes = published.shapes(publisher, network)
    assert families.networks_in(TensorFile(None, layout, shapes, None)) == (network,)


@pytest.mark.parametrize("network", NETWORKS)
def test_what_networks_are_recognised_by(network):
    known = ("scale", "kernel")
    shapes = [shape for path, shape in trace(network).shapes.items() if path[-1] in known]
    shapes = {f"{i}.weight": shape for i, shape in enumerate(shapes)}
    assert families.networks_in(TensorFile(None, "torch", shapes, None)) == (network,)


@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in published.KERAS],
)
def test_order_is_keras_own(network):
    """Compares the norms, and the other layers: files without names rely on both orders."""
    shapes = published.shapes("keras", network)
    theirs = list(dict.fromkeys(name.rpartition("/")[0] for name in shapes))
    theirs = [name for name in theirs if name != "normalization"]
    ours = list(families.family(network).names["Keras"](trace(network, "tensorflow")).values())
    for norms in (True, False):
        ordered = [
            [n for n in names if (f"{n}/gamma" in shapes) == norms] for names in (ours, theirs)
        ]
        assert ordered[0] == ordered[1]
