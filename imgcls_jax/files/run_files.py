"""What the JSON files of a run's folder hold, as far as anything here reads them.

Versions of this library older than a key leave it out: it is then not required.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from imgcls_jax.files.fit import ABOVE_0, FRACTION, SOME, Holds, at_least

Count = Annotated[int, at_least(0)]
Size = Annotated[int, Holds(lambda n: 1 <= n <= 65536, "from 1 to 65536")]
Seconds = Annotated[float, at_least(0)]
Fraction = Annotated[float, FRACTION]
Interval = tuple[float, float]
Shape = tuple[Size, Size, Size]
ClassNames = Annotated[list[str], SOME]


class Normalise(TypedDict):
    name: str
    constants: dict[str, Any]


class NetworkRecord(TypedDict):
    """`network.json`: all that a prediction needs beside the parameters."""

    class_names: ClassNames
    image_shape: Shape
    resize: str
    normalise: Normalise
    data: NotRequired[str]
    features_once: NotRequired[bool]
    several_labels: NotRequired[bool]
    teacher: NotRequired[dict[str, Any]]


class EpochRecord(TypedDict):
    """A line of `metrics.jsonl`."""

    epoch: Annotated[int, at_least(1)]
    step: Annotated[int, at_least(1)]
    train_loss: float
    train_accuracy: Fraction
    train_seconds: Seconds
    eval_seconds: Seconds
    learning_rate: NotRequired[float]
    validation_loss: NotRequired[float]
    validation_accuracy: NotRequired[Fraction]
    test_loss: NotRequired[float]
    test_accuracy: NotRequired[Fraction]
    together: NotRequired[Count]


class HeadRecord(TypedDict):
    """`head.json`: what fitting the head took before training."""

    seconds: Seconds


class ClassFigures(TypedDict):
    precision: Fraction
    recall: Fraction
    f1: Fraction
    support: Count
    threshold: NotRequired[Fraction]


class DataFacts(TypedDict):
    source: str
    verified: bool | None


class Temperature(TypedDict):
    value: Annotated[float, ABOVE_0] | None
    why_not: NotRequired[str]
    test_ece: NotRequired[dict[str, float]]


class Chosen(TypedDict):
    of: str
    examples: Count
    identity: str


class Thresholds(TypedDict):
    values: list[Fraction]
    chosen_on: Chosen | None
    why_not: NotRequired[str]
    undecided: NotRequired[list[Count]]


class Curve(TypedDict):
    average_precision: float
    roc_auc: float


class Ranking(TypedDict):
    average_precision: float | None
    roc_auc: float | None
    classes: dict[str, Curve]


class Bin(TypedDict):
    low: Fraction
    high: Fraction
    count: Count
    confidence: float | None
    accuracy: float | None


class Calibration(TypedDict):
    ece: float
    bins: list[Bin]


class Documented(TypedDict):
    figures: dict[str, float | Interval]
    disagreement: NotRequired[str | None]
    hardware: NotRequired[str | None]
    seconds: NotRequired[float | None]


class Summary(TypedDict):
    """`summary.json` of a finished run."""

    run: str
    data: DataFacts
    parameters: Count
    seed: Count
    epochs: Count
    test_accuracy: Fraction
    test_accuracy_interval: Interval
    test_loss: float
    train_seconds: Seconds
    compile_seconds: Seconds
    eval_seconds: Seconds
    feature_seconds: Seconds
    examples_per_second: float | None
    per_class: dict[str, ClassFigures]
    device: str
    versions: dict[str, str]
    git_commit: str | None
    head_seconds: NotRequired[Seconds]
    test_balanced_accuracy: NotRequired[Fraction]
    test_balanced_accuracy_interval: NotRequired[Interval]
    top_k: NotRequired[Annotated[int, at_least(2)]]
    train_accuracy: NotRequired[Fraction | None]
    train_loss: NotRequired[float]
    validation_accuracy: NotRequired[Fraction]
    validation_loss: NotRequired[float]
    evaluated_epoch: NotRequired[Count]
    examples: NotRequired[dict[str, Count]]
    parameters_mb: NotRequired[float]
    checkpoint_mb: NotRequired[float | None]
    by_epoch: NotRequired[dict[str, list[float]]]
    calibration: NotRequired[Calibration]
    confusion_matrix: NotRequired[list[list[int]]]
    documented: NotRequired[Documented]
    difference: NotRequired[dict[str, float]]
    ranking: NotRequired[Ranking]
    temperature: NotRequired[Temperature]
    thresholds: NotRequired[Thresholds]
    test_mean_average_precision: NotRequired[float | None]
    test_subset_accuracy: NotRequired[Fraction]
    test_hamming_loss: NotRequired[Fraction]
    together: NotRequired[Count]
    watched: NotRequired[str | None]


class Spread(TypedDict):
    mean: float
    std: float | None


class Race(TypedDict):
    """`summary.json` of a speed run."""

    run: str
    seeds: list[Count]
    accuracies: list[Fraction]
    accuracies_summary: Spread
    train_seconds: list[Seconds]
    train_seconds_summary: Spread
    total_seconds: list[Seconds]
    total_seconds_summary: Spread
    warmup_seconds: Seconds
    preparation_seconds: Seconds
    device: str


class Place(TypedDict):
    path: Annotated[str, Holds(lambda path: "\0" not in path, "a path")]
    digest: str


class Ensemble(TypedDict):
    """`ensemble.json`."""

    members: list[Place]
    weighting: NotRequired[Literal["fitted", "greedy", "equal"] | None]
    weights: NotRequired[list[Fraction]]


class Changed(TypedDict):
    before: float
    after: float


class Facts(TypedDict):
    """`calibration.json`."""

    temperature: Annotated[float, ABOVE_0] | None
    why_not: NotRequired[str]
    held_out: NotRequired[Chosen]
    loss: NotRequired[Changed]
    ece: NotRequired[Changed]
    seconds: NotRequired[float]
    thresholds: NotRequired[Thresholds]


class Trial(TypedDict):
    number: Count
    value: Fraction | None


class StudySummary(TypedDict):
    """`summary.json` of a study."""

    trials: list[Trial]


class StudyRecord(TypedDict):
    """`study.json`."""

    experiment: str
    name: str
    storage: str
    space: dict[str, Any]
    fixed: dict[str, Any]
    data: str


class Owner(TypedDict):
    """`owner.json`, by which the folder of a study's finals is known."""

    token: str


class Preprocessing(TypedDict):
    resize: str


class ExportedRecord(TypedDict):
    """`meta.json` of an exported file."""

    class_names: ClassNames
    image_shape: Shape
    preprocessing: Preprocessing
    platforms: Annotated[list[Literal["cpu", "cuda", "rocm", "tpu"]], SOME]
    jax: str
    thresholds: NotRequired[list[Fraction]]
