"""Commands killed at any moment and started again: their end is that of one left alone."""

import random
import shutil
from pathlib import Path

import pytest
from kills import ends
from kills.cases import CASES, QUICK, RENAMING, Case, Files
from kills.commands import Server

_IN_A_ROW = 7  # kills of one run, before it may come to its end


def _name(case: Case) -> str:
    return case.name


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("case", QUICK, ids=_name)
def test_a_killed_command_ends_as_one_left_alone(server, files, tmp_path, case):
    assert sum(case.kills for case in QUICK) == 20
    _kill(server, case, files, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=_name)
def test_of_200_kills_all_end_alike(server, files, tmp_path, case, whole):
    assert sum(case.kills for case in CASES) == 200
    _kill(server, case if whole else case._replace(kills=3), files, tmp_path)


def _kill(server: Server, case: Case, files: Files, folder: Path) -> None:
    """Kills a command as often as asked, at moments drawn uniformly over the time it takes."""
    rng, killed, rows = random.Random(case.name), 0, 0
    whole = server.run(case.command(files, folder / "whole"))[0]
    assert whole.status == 0, whole.said
    expected, seconds = ends.of_folder(folder / "whole"), case.share * whole.seconds
    while killed < case.kills:
        place, row = folder / f"{rows}", 0
        while row < min(_IN_A_ROW, case.kills - killed):
            ended = server.run(case.command(files, place), kill_after=rng.uniform(0, seconds))[0]
            assert server.orphans() == []
            if not ended.killed:
                seconds = min(seconds, case.share * ended.seconds) if row == 0 else seconds
                break
            row += 1
        ended = ended if not ended.killed else server.run(case.command(files, place))[0]
        assert ended.status == 0, ended.said
        _assert_ended(server, place, expected)
        killed, rows = killed + row, rows + 1
        assert rows <= 10 * case.kills
        shutil.rmtree(place)


@pytest.mark.slow
@pytest.mark.parametrize("case", RENAMING, ids=_name)
def test_of_kills_at_each_renaming_all_end_alike(server, files, tmp_path, case, whole):
    """The moments before and after a file takes its name are those that matter most."""
    if not (whole or case is RENAMING[0]):
        pytest.skip("--whole tries these, too")
    alone = server.run(case.command(files, tmp_path / "whole"))[0]
    assert alone.status == 0, alone.said
    expected, number = ends.of_folder(tmp_path / "whole"), 0
    while True:
        place = tmp_path / f"{number}"
        ended = server.run(case.command(files, place, die_at=number))[0]
        if not ended.killed:
            break
        ended = server.run(case.command(files, place))[0]
        assert ended.status == 0, ended.said
        _assert_ended(server, place, expected)
        shutil.rmtree(place)
        number += 1
    assert ended.status == 0, ended.said
    assert number >= 2 * 5


def _assert_ended(server: Server, place: Path, expected: dict) -> None:
    """Checks that nothing is left over, and that the end is the expected one."""
    assert server.orphans() == []
    assert server.shared_memory() == []
    assert ends.leftovers(place) == []
    found = ends.of_folder(place)
    assert found.keys() == expected.keys()
    differing = {name: (found[name], of) for name, of in expected.items() if found[name] != of}
    assert differing == {}
