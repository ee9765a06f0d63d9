"""CIFAR-10: the documented runs 10 and 11, and the networks and speed they planned.

python -m experiments.cifar10                                  # run 10
python -m experiments.cifar10 --run=11 --seeds=3
python -m experiments.cifar10 --preset=fast                    # beyond run 11, far sooner
python -m experiments.cifar10 --preset=resnet --model=resnet20
python -m experiments.cifar10 --preset=speedrun --seeds=20     # 94 % on a GPU, in seconds
python -m experiments.cifar10 --augmentations=all.png          # what each of them does
python -m experiments.cifar10 --preset=best                    # a wide ResNet, minutes of a GPU
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

from experiments import speedrun
from experiments.cli import flags as cli
from experiments.cli import folders, instead, origins, training
from experiments.cli.rate_finding import FIND_LR
from experiments.cli.trackers_flag import TENSORBOARD, TRACKERS
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError


def main() -> None:
    if instead.listed_or_drawn("cifar10"):
        return
    given = cli.given_settings()
    preset = choose.cifar10(training.RUN.value, training.preset_name("cifar10"), given)
    if preset.name == "speedrun":
        for flag in (TRACKERS, TENSORBOARD, FIND_LR, folders.CHECKPOINT_EVERY):
            if flag.value:
                raise UserError(f"a speed run takes no --{flag.name}; leave it out.")
        if training.VECTORIZE.value == "on":
            raise UserError("a speed run takes no --vectorize=on; leave it out.")
        training.check_seeds()
        with origins.named(preset.settings, preset.title):
            config = Config.of(**{**preset.settings, **given})
            with folders.own("cifar10", preset.name) as workdir:
                speedrun.main(config, seeds=training.SEEDS.value or 1, workdir=workdir)
        return
    training.train(preset, experiment="cifar10")


if __name__ == "__main__":
    training.command(main, without=("photos",))
