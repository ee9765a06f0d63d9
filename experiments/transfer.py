"""Photos in folders, one folder per class: the documented runs 12-15, and your own.

python -m experiments.transfer --data_dir=PHOTOS                       # frozen network, new head
python -m experiments.transfer --data_dir=PHOTOS --preset=fine_tuned
python -m experiments.transfer --data_dir=PHOTOS --model=resnet50 --image_size=160
python -m experiments.transfer --data_dir=PHOTOS --model=mobilenet_v2 --weights=mobilenet_v2.h5
python -m experiments.transfer --data_dir=EGGS --run=15 --folds=5      # cross-validation
python -m experiments.transfer --list_runs
python -m experiments.predict --checkpoint=runs/transfer/... photo.jpg folder/
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli import huge_pages

    huge_pages.ask()

from experiments.cli import flags as cli
from experiments.cli import training
from experiments.presets import choose


def main() -> None:
    if training.listed_or_drawn("folder"):
        return
    name = training.preset_name("transfer")
    preset = choose.transfer(training.RUN.value, name, cli.given_settings())
    training.train(preset, experiment="transfer")


if __name__ == "__main__":
    training.command(main)
