"""The model of ResNet-50 on ImageNet: constants of the code and of files, and right sums."""

import json
from pathlib import Path

import jax
import pytest

from experiments.tables import scaling
from experiments.tables.scaling import Host, Measured, Network, need
from imgcls_jax import models
from imgcls_jax.errors import UserError

RESULTS = Path(__file__).parents[2] / "experiments/results"
OF = Measured(per_core=200.0, image_bytes=100_000.0)


def test_the_network_is_the_one_that_is_trained():
    inputs = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    model = models.create("resnet50", num_classes=1000)
    found = jax.eval_shape(model.init, jax.random.key(0), inputs)
    statistics = [leaf.size for leaf in jax.tree.leaves(found["batch_stats"])]
    network = Network()
    assert models.count_parameters(found["params"]) == network.parameters
    assert sum(statistics) == network.statistics
    assert len(statistics) == 2 * network.norms


def test_constants_come_from_the_file_of_the_benchmark(tmp_path):
    found = scaling.measured(RESULTS)
    assert 50 < found.per_core < 2000
    assert 50_000 < found.image_bytes < 200_000
    file = {"images_per_second": {"stream_threads": 600}, "processes": 3, "bytes_per_image": 7}
    (tmp_path / "benchmark_streaming.json").write_text(json.dumps(file))
    assert scaling.measured(tmp_path) == Measured(200.0, 7)
    (tmp_path / "benchmark_streaming.json").write_text("{}")
    with pytest.raises(UserError, match=r"benchmark_streaming\.json cannot be read"):
        scaling.measured(tmp_path)


def test_one_accelerator_exchanges_nothing():
    alone, host = need(1, OF), Host()
    assert (alone.gradients, alone.norms) == (0, 0)
    assert alone.step == pytest.approx(host.batch / host.images)
    assert alone.cores == pytest.approx(host.images / 200)
    assert alone.reading == pytest.approx(host.images * 100_000)


def test_a_ring_moves_twice_what_it_sums_less_one_part():
    host = Host(hop=0.0)
    expected = 2 * 7 / 8 * 4 * Network().parameters / host.inside
    assert need(8, OF, host=host).gradients == pytest.approx(expected)
    between = 2 * 7 / 8 * 4 * Network().parameters / 8 / host.between
    assert need(64, OF, host=host).gradients == pytest.approx(expected + between)


def test_what_is_read_grows_with_the_accelerators_and_a_checkpoint_does_not():
    few, many = need(8, OF), need(512, OF)
    assert many.cores < few.cores  # each waits longer for the others
    assert 40 < many.reading / few.reading < 64
    assert many.norms > 2 * few.norms
    assert scaling.checkpoint_bytes(slots=1) == 4 * (2 * 25_557_032 + 53_120)


def test_the_table_has_a_column_per_size(tmp_path):
    lines = scaling.page(scaling.measured(RESULTS))
    assert lines[0] == "| accelerators | 8 | 64 | 512 |"
    assert len(lines) == 13
    section = scaling.several_machines(RESULTS)
    start = section.index(lines[0])
    assert section[start : start + 13] == lines
    assert scaling.several_machines(tmp_path) == []
