"""The first of two processes, whose fellow never comes.

python alone.py PORT
"""

import sys

from absl import flags

from experiments.cli import machines
from imgcls_jax.machines import group

if __name__ == "__main__":
    group.join.__kwdefaults__["seconds"] = 5
    flags.FLAGS(
        ["test", f"--coordinator=localhost:{sys.argv[1]}", "--processes=2", "--process_id=0"]
    )
    with machines.together():
        print("met")
