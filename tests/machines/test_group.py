"""How processes meet, what the first tells, and what is refused; no second process is started."""

import os
import time

import numpy as np
import pytest
from machine_helpers import in_processes

from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, Split, labels_identity
from imgcls_jax.errors import UnreadablePhoto, UserError
from imgcls_jax.machines import claims, group
from imgcls_jax.train.kept import photos_replaceable
from imgcls_jax.workdir import Workdir

SMALL = Config.of(dataset="digits", hidden=(8,), epochs=1)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No cluster, whatever the machine that runs the tests is part of."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "JOB_COMPLETION", "KUBERNETES_", "TPU_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(group.importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def begun(monkeypatch):
    """Collects what `jax.distributed.initialize` is called with."""
    calls = []
    monkeypatch.setattr("jax.distributed.initialize", lambda **given: calls.append(given))
    return calls


def test_a_process_of_no_cluster_stays_alone(begun):
    assert not group.others_expected()
    assert not group.others_expected(processes=1)
    assert group.others_expected(process_id=0)
    group.join()
    group.join(processes=1)
    assert not begun
    assert (group.number(), group.count(), group.is_first()) == (0, 1, True)
    assert group.greatest(3, 4) == [3, 4]
    assert group.broadcast(lambda: {"a": (1,)}) == {"a": (1,)}


SLURM = {"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_NTASKS": "2"}
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"}
MPI = {"OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:3", "OMPI_COMM_WORLD_SIZE": "2"}


@pytest.mark.parametrize("environment", [SLURM, POD, MPI], ids=["slurm", "kubernetes", "mpi"])
def test_a_task_of_a_cluster_meets_the_others_unless_it_is_told_to_stay_alone(
    environment, begun, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    group.join(processes=1)
    assert not begun
    group.join()
    assert begun[0]["coordinator_address"] is None  # which JAX finds by itself


def test_a_lone_task_of_slurm_stays_alone(begun, monkeypatch):
    """JAX would give it the first GPU of its machine only."""
    monkeypatch.setenv("SLURM_STEP_NODELIST", "n1")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    group.join()
    assert not begun


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"processes": 2}, "need `coordinator` and `process_id` too"),
        ({"coordinator": "a:1", "processes": 2}, "need `process_id` too"),
        ({"coordinator": "a", "processes": 2, "process_id": 0}, "must be HOST:PORT"),
        ({"coordinator": "a:1", "processes": 2, "process_id": 2}, "below `processes=2`"),
        ({"coordinator": "a:1", "processes": 2, "process_id": -1}, "`process_id=-1` cannot"),
        ({"coordinator": "a:1", "processes": 0, "process_id": 0}, "`processes=0` cannot"),
    ],
)
def test_settings_that_cannot_bring_processes_together_are_refused(given, said, begun):
    with pytest.raises(UserError, match=said):
        group.join(**given)
    assert not begun


def test_processes_that_do_not_meet_are_told_of_in_one_sentence(monkeypatch):
    def late(**_):
        raise RuntimeError("DEADLINE_EXCEEDED: Barrier timed out\nand more")

    monkeypatch.setattr("jax.distributed.initialize", late)
    with pytest.raises(UserError, match=r"within 7 s at `coordinator=a:1` \(DEADLINE") as raised:
        group.join("a:1", 2, 0, seconds=7)
    assert "\n" not in str(raised.value)
    for name, value in POD.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"Kubernetes job .* install jax\[k8s\].* `processes=1`"):
        group.join()


def test_what_the_first_makes_all_have(monkeypatch):
    def work(number):
        return [group.broadcast(lambda: {"by": number}), group.broadcast(lambda: [number, None])]

    assert in_processes(3, work, monkeypatch) == [[{"by": 0}, [0, None]]] * 3


def test_another_value_than_the_first_has_is_refused(monkeypatch):
    def work(number):
        group.require_same("configuration", {"lr": 0.1 + (number == 2), "seed": 0})

    found = in_processes(3, work, monkeypatch)
    assert found[:2] == [None, None]
    assert str(found[2]).startswith(
        "process 2 of 3 has another configuration (`lr`) than the first"
    )


def test_a_folder_is_claimed_by_the_first_and_only_it_writes(tmp_path, monkeypatch):
    def work(number):
        workdir = Workdir(tmp_path / "run")
        workdir.claim(SMALL)
        workdir.write_text("by.txt", str(number))
        workdir.write_arrays("by.npz", number=number)
        workdir.append_history({"epoch": 1, "by": number})
        return sorted(path.name for path in (tmp_path / "run").glob("config.json"))

    assert in_processes(3, work, monkeypatch) == [["config.json"]] * 3
    workdir = Workdir(tmp_path / "run")
    assert (workdir.path / "by.txt").read_text() == "0"
    assert workdir.read_arrays("by.npz")["number"] == 0
    assert (workdir.path / "metrics.jsonl").read_text() == '{"epoch": 1, "by": 0}\n'


def test_a_folder_that_is_not_shared_is_refused(tmp_path, monkeypatch):
    """Each process has a folder of that name on a disk of its own."""
    monkeypatch.setattr(claims, "_SHARED_SECONDS", 0.1)
    monkeypatch.setattr(claims.require_shared, "__kwdefaults__", {"seconds": 0.3})

    def work(number):
        Workdir(tmp_path / str(number)).claim(SMALL)

    first, second = in_processes(2, work, monkeypatch)
    assert first is None
    assert "process 1 of 2 does not see in" in str(second)
    assert "share" in str(second)
    # One that holds an old run there is none either.
    time.sleep(0.01)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "config.json").write_text((tmp_path / "0" / "config.json").read_text())
    assert "does not see in" in str(in_processes(2, work, monkeypatch)[1])


def test_an_unreadable_photo_is_noted_by_whichever_process_meets_it(tmp_path, monkeypatch):
    """Else its replacement, of another size, would be taken for other data."""
    split = Split(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1], np.int32))
    dataset = Dataset("d", split, split, ("a", "b"), "made", None)
    workdir = Workdir(tmp_path)
    record = {"class_names": ["a", "b"], "image_shape": [4, 4, 3], "resize": "crop"}
    record |= {"normalise": {"name": "unit", "constants": {}}, "data": "as it was"}
    workdir.write_json("network.json", record)

    def work(number):
        with photos_replaceable(workdir, dataset):
            if number == 1:
                raise UnreadablePhoto("x.jpg is no image")

    assert isinstance(in_processes(2, work, monkeypatch)[1], UnreadablePhoto)
    assert workdir.network_record()["data"] == labels_identity(dataset)
