"""Fashion-MNIST: the documented runs 1-9, and the CNN they planned.

python -m experiments.fmnist --lr=0.0008 --epochs=15
python -m experiments.fmnist --run=9 --seeds=5
python -m experiments.fmnist --model=cnn
python -m experiments.fmnist --dataset=digits --epochs=20      # offline, seconds
"""

from absl import flags

from experiments import cli, entry, logistic, presets
from imgcls_jax.errors import UserError

flags.adopt_module_key_flags(entry)


def main() -> None:
    if entry.listed_or_drawn("fashion_mnist"):
        return
    given = cli.given_settings()
    preset = presets.fashion_mnist(entry.RUN.value, entry.preset_name("fmnist"), given)
    if preset.settings["model"] != "logistic_sgd":
        entry.train(preset, experiment="fmnist")
        return
    workdir = entry.workdir_of("fmnist", preset)
    for flag in (entry.SEEDS, entry.TENSORBOARD):
        if flag.value:
            raise UserError(f"run 8 takes no --{flag.name}; leave it out.")
    logistic.main(preset, given, workdir=workdir, figures=entry.FIGURES.value)


if __name__ == "__main__":
    cli.run(main)
