"""Images that turn out to be bad in the middle of a run: one line names the file."""

import json

import pytest

from semivit_tf.cli import main, parse
from semivit_tf.config.settings import InputError
from semivit_tf.stages.pipeline import run_pipeline
from tests.data.files import encoded, huge_png, picture, write_folder
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


def test_an_image_too_large_is_named_with_the_flag(tmp_path, capsys):
    root = write_folder(tmp_path / "images", per_class=7)
    (root / "train/cat/bomb.png").write_bytes(huge_png())
    said = "23000 x 23000 pixels, more than --max_pixels=100000000"
    for stage, line in (
        ("check", f"train/cat/bomb.png ({said})"),
        ("finetune", f"train/cat/bomb.png cannot be used: {said}"),
    ):
        flags = ("--labels_per_class=7", f"--stages={stage}")
        assert main(command(root, tmp_path / stage, *flags)) == 2
        assert line in capsys.readouterr().err.strip().splitlines()[-1]


def test_another_limit_is_another_check(tmp_path, capsys):
    root = write_folder(tmp_path / "images", unlabeled=0)
    folder = tmp_path / "run"
    low, high = (("--stages=check", f"--max_pixels={n}") for n in (1600, 1920))
    assert main(command(root, folder, *low)) == 2
    report = json.loads((folder / "check.json").read_text())
    reasons = {image["reason"] for image in report["unreadable"]}
    assert reasons == {"48 x 40 pixels, more than --max_pixels=1600"}
    assert len(report["unreadable"]) == 6 + 4  # every other image
    assert main(command(root, folder, *high)) == 0
    report = json.loads((folder / "check.json").read_text())
    assert report["unreadable"] == []
    capsys.readouterr()
    assert main(command(root, folder, *high)) == 0
    assert "check: done before" in capsys.readouterr().out
    assert main(command(root, folder, *low)) == 2
    assert "10 images cannot be read" in capsys.readouterr().err
