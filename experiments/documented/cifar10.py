"""The documented CIFAR-10 runs 10 and 11, each as its Korean post on Keras has it."""

from experiments.documented.run import DocumentedRun, Reading

POST = "[파이썬] 딥러닝을 이용한 이미지 분류 ([Python] image classification with deep learning)"
PROJECT = "Machine Learning Image Classifier"

# Both programs have these; optimiser, initialisation and batch size are Keras' defaults.
_COMMON = {
    "dataset": "cifar10",
    "framework": "keras",
    "model": "documented_cnn",
    "optimizer": "adam",
    "lr": 0.001,
    "batch_size": 32,
    "watch_test": True,
}

RUNS = (
    DocumentedRun(
        number=10,
        title="CNN of three convolutions",
        source=POST,
        framework="keras",
        figures={},
        readings=(Reading("as written", "the program", {**_COMMON, "epochs": 10}),),
        disagreement="The document prints its test accuracy at run time and gives no figure.",
    ),
    DocumentedRun(
        number=11,
        title="the same CNN with dropout 0.5, one-hot labels",
        source=PROJECT,
        framework="keras",
        figures={
            "validation_accuracy": 0.852,
            "train_accuracy": 0.891,
            "validation_loss": 0.67,
            "train_loss": 0.34,
        },
        readings=(
            Reading(
                "as written",
                "the sections on preprocessing, model and training",
                {**_COMMON, "dropout": 0.5, "labels": "one_hot", "epochs": 50},
            ),
        ),
        seconds=7200.0,
        hardware="a GPU, not named",
        disagreement="The document gives a model size of 15.2 MB, but the 122,570 parameters it"
        " prints are 0.49 MB, and 1.5 MB with Adam's state; it names data augmentation as a remedy"
        " but shows none.",
    ),
)
