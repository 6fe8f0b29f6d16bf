"""Images that turn out to be bad in the middle of a run: one line names the file."""

import pytest

from semivit_tf.cli import main, parse
from semivit_tf.config.settings import InputError
from semivit_tf.stages.pipeline import run_pipeline
from tests.data.files import encoded, picture, write_folder
from tests.stages.runs import TINY

MIRRORED = ("--strategy=mirrored", "--logical_cpus=2")


def command(root, folder, *flags):
    data = ["--dataset=folder", f"--data_dir={root}", "--image_size=16"]
    sizes = ["--labels_per_class=6", "--finetune_batch_size=4", "--augmentation=photo"]
    return ["main.py", *TINY, *data, *sizes, f"--workdir={folder}", *flags]


@pytest.mark.parametrize(
    ("damaged", "stages", "strategy"),
    [
        ("unlabeled/loose 3.jpg", "pretrain", MIRRORED),
        ("train/cat/1.png", "finetune", ()),
        ("val/dog/0.jpg", "finetune", MIRRORED),
        ("test/cat/2.JPEG", "finetune,evaluate", ()),
    ],
)
def test_a_corrupt_image_is_named(tmp_path, capsys, damaged, stages, strategy):
    root = write_folder(tmp_path / "images", validation=1)
    content = (root / damaged).read_bytes()
    (root / damaged).write_bytes(content[: len(content) // 2])
    flags = (f"--stages={stages}", "--finetune_epochs=1", *strategy)
    assert main(command(root, tmp_path / "run", *flags)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    kind = "PNG" if damaged.endswith(".png") else "JPEG"
    assert f"{damaged} cannot be used: truncated {kind}. Mend it" in lines[-1]
    assert "Traceback" not in "".join(lines)


def test_an_image_that_vanishes_is_named_and_the_run_goes_on_with_it(tmp_path):
    root = write_folder(tmp_path / "images")
    file = root / "train/dog/3.jpg"
    config = parse(command(root, tmp_path / "run", "--stages=finetune"))
    said = []

    def say(text):
        said.append(text)
        file.unlink(missing_ok=True)

    with pytest.raises(InputError, match=r"train/dog/3\.jpg cannot be used: file not"):
        run_pipeline(config, ["main.py"], say)
    assert said  # the data were found before
    file.write_bytes(encoded(picture(9), "JPEG"))
    run_pipeline(config, ["main.py"], said.append)
    assert (tmp_path / "run/finetune/DONE").exists()
