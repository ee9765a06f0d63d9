"""Two processes that start at the same instant: one folder is never that of both."""

import pytest
from kills.commands import Command, Server

_QUICK = (
    "--dataset=digits", "--model=linear", "--optimizer=sgd", "--batch_size=479", "--epochs=1",
    "--nofigures",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


def _refused_one(server: Server, folder, *more: str) -> None:
    """Starts a command twice on a new folder, and checks that one of them trains."""
    command = Command("fmnist", (*_QUICK, "--workdir=run", *more), folder)
    first, second = sorted(server.run(command, command), key=lambda ended: ended.status)
    assert first.status == 0, first.said
    assert (folder / "run" / "summary.json").exists()
    if second.status == 0:  # it came when the other had finished, on a busy machine
        assert "finished: nothing to train" in first.said + second.said
        return
    assert second.status == 1, second.said
    (error,) = [line for line in second.said.splitlines() if line.startswith("error: ")]
    assert f"process {first.pid}" in error
    assert "epoch 1/1" not in second.said
    assert "Traceback" not in second.said


@pytest.mark.slow
def test_of_100_starts_of_two_none_are_both_at_work(server, tmp_path, whole):
    for number in range(100 if whole else 12):
        several = ("--seeds=2",) if number % 4 == 0 else ()
        _refused_one(server, tmp_path / f"{number}", *several)


@pytest.mark.slow
def test_folders_named_by_the_time_are_two(server, tmp_path, whole):
    for number in range(20 if whole else 4):
        folder = tmp_path / f"{number}"
        command = Command("fmnist", _QUICK, folder)
        for ended in server.run(command, command):
            assert ended.status == 0, ended.said
        runs = list((folder / "runs" / "fmnist").iterdir())
        assert len(runs) == 2
        assert all((run / "summary.json").exists() for run in runs)
