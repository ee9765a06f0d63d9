"""Faults in who may write into a folder, in its history, and in how programs end."""

from .fault import plant

_HELD = plant(
    "imgcls_jax/files/__init__.py",
    ("files/test_held.py",),
    the_second_waits=(
        "a second process waits for seconds before it is refused",
        "mine.acquire(timeout=wait)",
        "mine.acquire(timeout=wait + 3)",
    ),
    the_dead_are_named=(
        "the refusal names a process that was killed",
        "            if not has_died(process):  # else another one has just begun\n",
        "            if number:\n",
    ),
    the_next_ones_word_goes=(
        "who leaves a folder takes the word of the next one along",
        "for name in (_HOLDER, _LOCK):",
        "for name in (_LOCK, _HOLDER):",
    ),
    empty_folders_stay=(
        "a command that fails at once leaves a folder",
        "        if made:\n",
        "        if not made:\n",
    ),
)
_NEW = plant(
    "experiments/cli/folders.py",
    ("experiments/test_new_folders.py",),
    new_folders_are_shared=(
        "two commands of one second share a folder",
        "        while not _made(path):\n",
        "        while path.exists() or path.mkdir():\n",
    ),
    nothing_is_held=(
        "a folder is not held while it is written to",
        "with held(path) if group.is_first() else contextlib.nullcontext():",
        "with contextlib.nullcontext():",
    ),
)
_HISTORY = plant(
    "imgcls_jax/files/__init__.py",
    ("train/test_loop.py",),
    the_first_of_two_is_believed=(
        "of two different records of an epoch the first is taken",
        "told.get(len(found) + 1, {})) == 1:",
        "told.get(len(found) + 1, {})) >= 1:",
    ),
) + plant(
    "imgcls_jax/workdir.py",
    ("train/test_loop.py",),
    foreign_lines_count=(
        "the record of another run counts as an opinion",
        'return fitting and (steps is None or line["step"] == steps * line["epoch"])',
        "return fitting",
    ),
)
_ADVICE = plant(
    "imgcls_jax/files/__init__.py",
    ("files/test_files.py",),
    space_is_always_advised=(
        "who may not write is told to free some space",
        "full = error.errno in (errno.ENOSPC, errno.EDQUOT)",
        "full = True",
    ),
)
_CADENCE = plant(
    "imgcls_jax/train/ledger.py",
    ("train/test_cadence.py",),
    every_epoch_is_saved=(
        "a cadence of steps saves at the end of every epoch",
        "return step // self._every.steps > self._done // self._every.steps",
        "return step // self._every.steps >= self._done // self._every.steps > 0",
    ),
) + plant(
    "imgcls_jax/train/loop.py",
    ("train/test_cadence.py",),
    calls_run_past=(
        "a call of several steps runs past the step to save at",
        "count = int(min(self._pace.steps, length - self._batch, left))",
        "count = min(self._pace.steps, length - self._batch)",
    ),
)
_ENDS = (
    plant(
        "experiments/cli/signals.py",
        ("experiments/test_signals.py",),
        twice_is_two=(
            "one Ctrl-C that comes by two ways leaves without saving",
            "now - first > _BOTH_SECONDS",
            "now >= first and heard is not first",
        ),
        cleaning_is_broken_into=(
            "a second SIGTERM breaks into what the first one ends",
            "        if not heard:\n",
            "        if True:\n",
        ),
    )
    + plant(
        "imgcls_jax/train/progress.py",
        ("experiments/test_signals.py",),
        nobody_is_noticed=(
            "a training goes on although nobody reads it",
            "            self.unread = True\n",
            "            self.unread = False\n",
        ),
    )
    + plant(
        "imgcls_jax/data/children.py",
        ("data/test_children.py",),
        children_take_signals=(
            "a supervisor's signal kills the processes that decode, before the training can save",
            "signal.signal(number, signal.SIG_IGN)",
            "signal.signal(number, signal.SIG_DFL)",
        ),
        orphans_stay=(
            "processes outlive a parent that was killed",
            "    os._exit(1)\n",
            "    return\n",
        ),
    )
)
FAULTS = _HELD + _NEW + _HISTORY + _ADVICE + _CADENCE + _ENDS
