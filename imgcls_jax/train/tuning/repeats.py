"""Which trials of a study repeat others, by what each says of itself; all in their order.

A trial says `repeats=N` of one that was begun before and got no result, `first=True` where it has
the settings to beat, `surplus=True` where one process too many began it, and `died=True` where its
process was killed.
"""

from typing import Any


def unfinished(trials: list[Any]) -> list[Any]:
    """Returns the trials that ended without a reason, or did not end, and were not queued again."""
    done = repeated(trials) | doubles(trials)
    said = {"reason", "surplus"}
    return [t for t in trials if t.number not in done and not said & set(t.user_attrs)]


def repeated(trials: list[Any]) -> set[int]:
    """Returns the numbers of the trials that were queued again."""
    return {t.user_attrs["repeats"] for t in trials if "repeats" in t.user_attrs}


def doubles(trials: list[Any]) -> set[int]:
    """Returns the numbers of the trials that another had queued already, by their order."""
    seen, found = set(), set()
    for trial in trials:
        key = trial.user_attrs.get("repeats", "first" if trial.user_attrs.get("first") else None)
        if key in seen and key is not None:
            found.add(trial.number)
        seen.add(key)
    return found


def deaths(trial: Any, trials: list[Any]) -> int:
    """Returns how often the process of a trial, or of those that it repeats, was killed."""
    again = trial.user_attrs.get("repeats")
    before = 0 if again is None else deaths(trials[again], trials)
    return before + bool(trial.user_attrs.get("died"))


def counted(trials: list[Any]) -> list[Any]:
    again = repeated(trials) | doubles(trials)
    return [t for t in trials if t.number not in again and "surplus" not in t.user_attrs]
