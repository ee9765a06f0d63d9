"""Commands that share a study: each knows of the others, and one of them does the finals.

The commands are trials of a second study beside the first, since every storage gives trials one
after the other: the command whose number is the lowest of those that live has the turn. The finals
stay in the folder where they began, so that nothing is trained twice and the test set is met once.
"""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.files import processes, typed
from imgcls_jax.files.run_files import Owner
from imgcls_jax.train.tuning import signs
from imgcls_jax.train.tuning.storage import import_optuna
from imgcls_jax.workdir import Workdir

_LOOK_SECONDS = 1.0
_FINALS, _TOKEN = "finals", "owner.json"


class Elsewhere(UserError):
    """Another command does the rest; nothing is wrong."""


class Commands:
    """The commands of a study, in its storage.

    Args:
      study: the open `study.Study`.
      folder: that of this command.
    """

    def __init__(self, study: Any, folder: Path):
        self._study, self._all = study, study.part("commands")
        self._trial = import_optuna().trial
        self._place = f"{socket.gethostname()}:{folder}"

    @contextlib.contextmanager
    def present(self, does: str) -> Iterator[int]:
        """Lets the others know, until the block ends, what this command does.

        Yields:
          the number of this presence: earlier ones have lower numbers.
        """
        key = secrets.token_hex(8)
        says = {"does": does, "process": processes.this_process(), "place": self._place, "key": key}
        state = self._trial.TrialState
        with self._study.explained():
            self._all.add_trial(self._trial.create_trial(state=state.RUNNING, user_attrs=says))
            mine = next(t for t in self._running() if t.user_attrs.get("key") == key)
        try:
            with signs.given(self._trial.Trial(self._all, mine._trial_id)):
                yield mine.number
        finally:
            with self._study.explained(), contextlib.suppress(ValueError, RuntimeError):
                self._all.tell(mine.number, state=state.FAIL)  # Optuna's word for no value

    def other(self, does: str, *, before: float = float("inf")) -> Any:
        """Returns the first other command that does this and lives; None without one.

        It waits, up to a minute, until that is certain, and notes the ones that died.

        Args:
          before: the lowest number that does not matter.
        """
        watch, told = signs.Watch(), False
        while True:
            found = [t for t in self._running() if t.user_attrs["does"] == does]
            lives = {t.number: watch.lives(t) for t in found if t.number < before}
            for trial in found:
                if lives.get(trial.number):
                    return trial
                if lives.get(trial.number) is False:
                    self._bury(trial)
            if None not in lives.values():
                return None
            if not told:
                print("  waiting for signs of life of another machine's command", flush=True)
            told = True
            time.sleep(_LOOK_SECONDS)

    def leave_trials(self) -> None:
        """Raises Elsewhere where another command still runs trials."""
        if other := self.other("trials"):
            raise Elsewhere(
                "the trials of this command are done, and the command of "
                f"{_spelled(other)} still runs trials of this study; the one that ends last "
                "trains the winner."
            )

    @contextlib.contextmanager
    def finals(self, folder: Workdir) -> Iterator[None]:
        """Gives one command at a time the finals of the study.

        Args:
          folder: where they are kept.

        Raises:
          Elsewhere: another command does them now, or did them in another folder.
          UserError: they began in another folder.
        """
        with self.present(_FINALS) as mine:
            if other := self.other(_FINALS, before=mine):
                raise Elsewhere(
                    f"the command of {_spelled(other)} trains the winner of this study now; its "
                    "results will be there."
                )
            self._own(folder, mine)
            yield

    def _own(self, folder: Workdir, mine: int) -> None:
        """Notes that the finals are kept here, or checks that they are."""
        with self._study.explained():
            held = self._study.of.user_attrs.get(_FINALS)
            began = None if held is None else self._all.get_trials(deepcopy=False)[held["command"]]
        token = _token(folder)
        here = held is not None and held["token"] == token
        lost = began is not None and began.user_attrs.get("died", False)
        if held is not None and not here and held["finished"]:
            raise Elsewhere(
                f"the finals of this study are done, in {held['place']}; their results are there, "
                "and only there a later winner can be trained."
            )
        if held is not None and not here and not lost:
            raise UserError(
                f"the finals of this study began in {held['place']}, which keeps what met the "
                "test set; run the same command there to go on."
            )
        finished = here and held["finished"]
        self._note({"token": token, "place": self._place, "command": mine, "finished": finished})

    def finished(self) -> None:
        """Notes that the finals are done; to be called while this command has them."""
        self._note(self._study.of.user_attrs[_FINALS] | {"finished": True})

    def _note(self, held: dict[str, Any]) -> None:
        with self._study.explained():
            self._study.of.set_user_attr(_FINALS, held)

    def _running(self) -> list[Any]:
        with self._study.explained():
            return self._all.get_trials(deepcopy=False, states=(self._trial.TrialState.RUNNING,))

    def _bury(self, trial: Any) -> None:
        with self._study.explained(), contextlib.suppress(ValueError, RuntimeError):
            known = self._trial.Trial(self._all, trial._trial_id)
            known.set_user_attr("died", True)
            self._all.tell(trial.number, state=self._trial.TrialState.FAIL)


def _spelled(command: Any) -> str:
    number = command.user_attrs["process"].split("/")[1]
    return f"{command.user_attrs['place']} (process {number})"


def _token(folder: Workdir) -> str:
    """Returns what tells the folder from all others, wherever it is moved."""
    path = folder.path / _TOKEN
    if not path.exists():
        folder.write_json(_TOKEN, {"token": secrets.token_hex(8)})
    advice = "bring it back, or choose another `workdir` and `study_name`"
    return typed.read(path, Owner, advice=advice)["token"]
