"""Fashion-MNIST: the documented runs 1-9, and the CNN they planned.

python -m experiments.fmnist --lr=0.0008 --epochs=15
python -m experiments.fmnist --run=9 --seeds=5
python -m experiments.fmnist --model=cnn
python -m experiments.fmnist --dataset=digits --epochs=20      # offline, seconds
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

from experiments import logistic
from experiments.cli import flags as cli
from experiments.cli import folders, instead, training
from experiments.cli.rate_finding import FIND_LR
from experiments.cli.trackers_flag import TENSORBOARD, TRACKERS
from experiments.presets import choose
from imgcls_jax.errors import UserError

_NOT_OF_RUN_8 = (training.SEEDS, TRACKERS, TENSORBOARD, FIND_LR, folders.CHECKPOINT_EVERY)


def main() -> None:
    if instead.listed_or_drawn("fashion_mnist"):
        return
    given = cli.given_settings()
    preset = choose.fashion_mnist(training.RUN.value, training.preset_name("fmnist"), given)
    if preset.settings["model"] != "logistic_sgd":
        training.train(preset, experiment="fmnist")
        return
    training.check_seeds()
    for flag in _NOT_OF_RUN_8:
        if flag.value:
            raise UserError(f"run 8 takes no --{flag.name}; leave it out.")
    with folders.own("fmnist", preset.name) as workdir:
        logistic.main(preset, given, workdir=workdir, figures=training.FIGURES.value)


if __name__ == "__main__":
    training.command(main, without=("photos", "transfer"))
