"""Writes behaviour.json: run it before a change that is to change nothing, never after.

A change that is to change something makes the runs named anew, and BUILD_NOTES.md says what moved.

    cd tests && python -m golden.make_behaviour [NAME ...]

Runs named are made anew, all without a name; those of other machine kinds are kept.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from golden import behaviour


def main(names: list[str]) -> None:
    path = behaviour.GOLDEN
    every = json.loads(path.read_text()) if path.exists() else {}
    here = every.setdefault(behaviour.machine(), {})
    with tempfile.TemporaryDirectory() as folder:
        given = behaviour.inputs(Path(folder))
        for name in names or behaviour.RUNS:
            workdir = Path(folder) / "runs" / name
            started = time.perf_counter()
            behaviour.run(name, workdir, given)
            here[name] = behaviour.outcome(workdir)
            print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
            path.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
