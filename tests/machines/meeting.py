"""Two processes meet, agree and share a batch: all that needs no training.

python meeting.py NUMBER COUNT PORT
"""

import json
import sys

import jax
import numpy as np

from imgcls_jax import sharding
from imgcls_jax.errors import UserError
from imgcls_jax.machines import group
from imgcls_jax.machines.watch import Watch


def refusal(value):
    try:
        group.require_same("number", value)
    except UserError as error:
        return str(error)
    return None


def shared(rows):
    """Puts this process' rows of a batch on the mesh; returns them, and the sum over all."""
    mesh = sharding.make_mesh()
    here = sharding.rows_here(mesh, rows)
    batch = sharding.put_batch({"index": here.astype(np.float32)}, mesh, rows)
    total = jax.jit(lambda batch: batch["index"].sum(), out_shardings=sharding.replicated(mesh))
    return here.tolist(), float(total(batch))


def main():
    number, count, port = map(int, sys.argv[1:])
    group.join(f"localhost:{port}", count, number, seconds=120)
    watch = Watch(lambda why: None, lost_seconds=120)
    found = {
        "who": [group.number(), group.count(), group.is_first()],
        "told": group.broadcast(lambda: {"by": number}),
        "refused": refusal(number),
        "greatest": group.greatest(number, -number),
        "asked": [group.any_of(number == 1), group.any_of(number == 9)],
        "first": group.of_first(10 + number),
        "even": shared(8),
        "uneven": shared(7),
    }
    watch.await_end()
    jax.distributed.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
