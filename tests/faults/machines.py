"""Faults where several processes train together."""

from .fault import Fault, plant

_GROUP = plant(
    "imgcls_jax/machines/group.py",
    ("machines/test_group.py", "machines/test_two_processes.py"),
    all_write=(
        "every process of several writes into the run's folder",
        "        if is_first():\n            write(*arguments, **keywords)",
        "        write(*arguments, **keywords)",
    ),
    lone_task_joins=(
        "a lone Slurm task joins a group of one, and gets one of its GPUs",
        'of.get("SLURM_NTASKS", "1") != "1"',
        'of.get("SLURM_NTASKS", "1") != "0"',
    ),
    all_decide=(
        "the number of steps is the greatest of all processes', not the first one's",
        "greatest(value if is_first() else 0)",
        "greatest(value)",
    ),
)
_WATCH = plant(
    "imgcls_jax/machines/watch.py",
    ("machines/test_watch.py",),
    silence_is_life=(
        "a process that says nothing is never lost",
        "if found != beats:",
        "if found == beats or found != beats:",
    ),
    failure_is_kept=(
        "a process that fails does not tell the others",
        "self._tell(self._ended_by(self._number, why))",
        "self._ended_by(self._number, why)",
    ),
    first_leaves_early=(
        "the first process ends before the others have come to their end",
        "wanted = self._count if self._number == 0 else 1",
        "wanted = 1",
    ),
)
_CLAIMS = plant(
    "imgcls_jax/machines/claims.py",
    ("machines/test_group.py",),
    unshared_folder=(
        "folders that the processes do not share are taken for one",
        "while seen() != wanted:",
        "while seen() is None:",
    ),
)
_SHARES = plant(
    "imgcls_jax/data/photos/streaming.py",
    ("machines/test_shares.py",),
    crops_by_share=(
        "where examples are drawn in balance, a crop depends on the number of processes",
        "drawn = index if self.balance is None else chosen.start + row",
        "drawn = index if self.balance is None else chosen.start + k",
    ),
)
FAULTS: tuple[Fault, ...] = (*_GROUP, *_WATCH, *_CLAIMS, *_SHARES)
