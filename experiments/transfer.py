"""Photos in folders, one folder per class or with a table of labels: runs 12-15, and your own.

python -m experiments.transfer --data_dir=PHOTOS --model=efficientnet_lite0   # frozen, a new head
python -m experiments.transfer --data_dir=PHOTOS --preset=fine_tuned   # EfficientNet-B0, all of it
python -m experiments.transfer --data_dir=PHOTOS --model=resnet50 --image_size=160
python -m experiments.transfer --data_dir=PHOTOS --model=mobilenet_v2 --weights=mobilenet_v2.h5
python -m experiments.transfer --data_dir=EGGS --run=15 --folds=5      # cross-validation
python -m experiments.transfer --data_dir=PHOTOS --model=efficientnet_lite0 \\
    --label_file=labels.csv --hold_out=0.2    # its lines: path,label and a.jpg,wet|red
python -m experiments.transfer --list_runs
python -m experiments.predict --checkpoint=runs/transfer/... photo.jpg folder/

--label_file names a CSV or Parquet file, or one in --data_dir: a column of paths or names, then one
of labels between | or ;, or one of 0 and 1 per label, and perhaps one called split. Where a photo
has several labels, each gets a sigmoid of its own (--head=multi_label), whose threshold
--hold_out's photos choose.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

from experiments.cli import flags as cli
from experiments.cli import instead, training
from experiments.presets import choose


def main() -> None:
    if instead.listed_or_drawn("folder"):
        return
    name = training.preset_name("transfer")
    given = cli.given_settings()
    preset = choose.transfer(training.RUN.value, name, given)
    preset = choose.following_labels(preset, given, data_dir=cli.photos_dir())
    training.train(preset, experiment="transfer")


if __name__ == "__main__":
    training.command(main)
