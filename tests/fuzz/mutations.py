"""Damage to files, by chance but the same for the same random numbers.

Flipped bits, cuts, spans removed, doubled, exchanged or zeroed, huge numbers in the place of
lengths, and text that programs trip over; in JSON also values of other types, missing keys, deep
nesting.
"""

import copy
import json
import random

_SNIPPETS = (
    b"\0", b"\n", b"\r\n", b'"', b",", b"'", b"[" * 3000, b'{"a":' * 3000, b"../../../etc/passwd",
    b"/etc/passwd", b"=1+1", b"NaN", b"-1", b"1e999", b"9" * 30, b"\xff\xfe", b"\x1b[31m",
    "\u202e\u0000".encode(), b"\xed\xa0\x80", b"%s%n", b"{0}", b"|", b";",
)  # fmt: skip
_DEEP = "deep deep down"
_ODD = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 0.5, -0.5, 1e308, float("nan"),
    float("inf"), "", "a\nb\x1b[31m", "../../../etc/passwd", "/etc/passwd", "x" * 10_000, "\ud800",
    "\0", "{SPLIT}{0}", [], {}, [[]], [None], {"": None}, _DEEP, [1, "a", None], {"a": {"b": []}},
)  # fmt: skip


def damaged(content: bytes, rng: random.Random, *, structured: bool = False) -> bytes:
    """Returns the content of a file with one to five kinds of damage.

    Args:
      structured: whether it is JSON, or lines of it, whose values are to be damaged rather than its
        bytes.
    """
    if structured:
        lines = content.splitlines()
        if len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
            chosen = rng.randrange(len(lines))
            lines[chosen] = _other_values(lines[chosen], rng)
            return b"\n".join(lines) + b"\n"
        return _other_values(content, rng)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        rng.choice(_DAMAGE)(data, rng)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    """Returns a place, often near either end, where files keep their tables."""
    near = min(len(data), 64)
    return rng.choice(
        (rng.randrange(len(data) + 1), rng.randrange(near + 1), len(data) - rng.randrange(near + 1))
    )


def _span(data: bytearray, rng: random.Random) -> slice:
    start = _place(data, rng)
    return slice(start, start + rng.choice((1, 2, 4, 8, 16, 64, rng.randrange(1, 1000))))


def _flip(data, rng):
    if data:
        data[_place(data, rng) % len(data)] ^= 1 << rng.randrange(8)


def _set(data, rng):
    if data:
        data[_place(data, rng) % len(data)] = rng.randrange(256)


def _cut(data, rng):
    del data[_place(data, rng) :]


def _remove(data, rng):
    del data[_span(data, rng)]


def _double(data, rng):
    of = _span(data, rng)
    data[of.start : of.start] = data[of]


def _zero(data, rng):
    of = _span(data, rng)
    data[of] = bytes(len(data[of]))


def _exchange(data, rng):
    first, second = sorted((_span(data, rng), _span(data, rng)), key=lambda of: of.start)
    if first.stop <= second.start:
        one, two = data[first], data[second]
        data[second], data[first] = one, two


def _number(data, rng):
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 1, 2, 255, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, -1))
    place = _place(data, rng)
    order = rng.choice(("little", "big"))
    data[place : place + width] = (value % 256**width).to_bytes(width, order)


def _digits(data, rng):
    places = [place for place, byte in enumerate(data) if 48 <= byte < 58]
    if places:
        place = rng.choice(places)
        data[place : place + 1] = rng.choice((b"99999999999", b"-1", b"", b"1e400", b"4294967296"))


def _insert(data, rng):
    place = _place(data, rng)
    data[place:place] = rng.choice(_SNIPPETS) if rng.random() < 0.7 else rng.randbytes(16)


_DAMAGE = (_flip, _set, _cut, _remove, _double, _zero, _exchange, _number, _digits, _insert)


def _other_values(content: bytes, rng: random.Random) -> bytes:
    held = [json.loads(content)]
    for _ in range(rng.choice((1, 1, 2))):
        places = list(_places(held))
        container, key = rng.choice(places)
        match rng.randrange(4):
            case 0 if isinstance(container, dict):
                del container[key]
            case 1 if isinstance(container, list) and container is not held:
                container.insert(key, container[key])
            case 2:
                container[key] = [container[key]]
            case _:
                container[key] = copy.deepcopy(rng.choice(_ODD))
    text = json.dumps(held[0])
    return text.replace(f'"{_DEEP}"', "[" * 3000 + "]" * 3000).encode()


def _places(value):
    """Yields every place in lists and objects."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
