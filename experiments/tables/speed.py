"""The benchmarks: contenders that take turns, as tables of times and ratios."""

import dataclasses
import statistics
from collections.abc import Iterator

from experiments.tables.files import Files, number, table


@dataclasses.dataclass(frozen=True)
class Contest:
    """A benchmark's file, its title, the unit of its times, and the command that makes it."""

    title: str
    stem: str
    unit: str
    command: str


SPEED = (
    Contest("An epoch of run 5: 60,000 images, batch 64", "benchmark_fmnist", "s", "fmnist"),
    Contest("A training step on CIFAR-10", "benchmark_cifar10_jax0.12", "ms", "cifar10"),
    Contest("The same with jax 0.10", "benchmark_cifar10_jax0.10", "ms", "cifar10"),
    Contest(
        "Published networks at 224 pixels: a batch; 2,048 photos decoded; an epoch of 128 photos",
        "benchmark_transfer",
        "s",
        "transfer",
    ),
    Contest(
        "1,536 photos of ImageNet's size streamed, beside Grain's own loop",
        "benchmark_streaming",
        "s",
        "streaming",
    ),
    Contest(
        "5,000 photos predicted, beside their decoding alone and the network alone",
        "benchmark_predict",
        "s",
        "predict --data_dir=PHOTOS",
    ),
    Contest(
        "Run 5 with checkpoints and their digests, and without",
        "benchmark_checkpoints",
        "s",
        "checkpoints",
    ),
    Contest("Run 8, the whole cross-validation", "benchmark_logistic", "s", "logistic"),
    Contest("64 seeds of run 5 on a GPU: an epoch, per seed", "benchmark_seeds", "s", "seeds"),
    Contest("The whole main command, data prepared", "benchmark_start", "s", "start"),
)
NOTE = """\
Contenders take turns in one process. *Ratio* is a contender's median time over that of the first
of its case: above 1 it is slower. *Of peak* is the share of the machine's own float32 product."""


def contests(files: Files) -> list[str]:
    """Returns a section for each benchmark that has a file."""
    lines: list[str] = []
    for contest in SPEED:
        for result in files.take([contest.stem]).values():
            lines += [f"### {contest.title}", "", *_contest(files, contest, result), ""]
    return lines[:-1]


def _contest(files: Files, contest: Contest, result: dict) -> list[str]:
    machine, link = files.made({contest.stem: result})
    against = ", ".join(f"{name} {version}" for name, version in result["compared_with"].items())
    cases = dict(result["cases"]) if "cases" in result else {"": result}
    if "seconds_an_epoch" in result:
        cases["an epoch"] = result["seconds_an_epoch"]
    turns = result.get("turns") or max(map(len, _times(next(iter(cases.values()))).values()))
    rows = [row for case, timed in cases.items() for row in _rows_of_case(case, timed)]
    header = ("", "contender", f"median, {contest.unit}", "lowest", "highest", "ratio")
    return [
        f"`python -m experiments.benchmark {contest.command}`, {turns} turns, machine {machine};"
        f" {against}; {link}.",
        "",
        *table((*header, "images/s", "of peak"), rows),
    ]


def _times(timed: dict) -> dict[str, list[float]]:
    """Returns the single times of each contender; the lowest and highest where only they are."""
    for unit in ("seconds", "milliseconds"):
        if unit in timed:
            return timed[unit]
    return {name: [low, timed["highest"][name]] for name, low in timed["lowest"].items()}


def _rows_of_case(case: str, timed: dict) -> Iterator[tuple[str, ...]]:
    times = _times(timed)
    medians = timed.get("median") or {name: statistics.median(of) for name, of in times.items()}
    first = next(iter(medians.values()))
    for name, each in times.items():
        rate = timed.get("images_per_second", {}).get(name)
        peak = timed.get("share_of_matmul_peak", {}).get(name)
        once = timed.get("once", {}).get(name)
        yield (
            case,
            f"{name} (after {number(once)} s)" if once else name,
            *(number(time) for time in (medians[name], min(each), max(each))),
            number(medians[name] / first),
            "-" if rate is None else number(rate),
            "-" if peak is None else f"{100 * peak:.0f} %",
        )
