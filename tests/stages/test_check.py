"""A folder as it really is: what is wrong is named, refused, or left out."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from semivit_tf.cli import main
from semivit_tf.data.image_scan import ImageScan
from semivit_tf.stages import check
from tests.data.files import picture, write_folder
from tests.stages.runs import TINY

SMALL = (
    "--dataset=folder --image_size=16 --backbone=vit --patch_size=8 --width=16 "
    "--depth=1 --heads=2 --labels_per_class=3 --pretrain_epochs=1 "
    "--pretrain_batch_size=8 --pretrain_warmup_epochs=0 --pretrain_decoder_width=16 "
    "--pretrain_decoder_depth=1 --pretrain_decoder_heads=2 --finetune_epochs=1 "
    "--finetune_batch_size=4 --finetune_warmup_epochs=0 --semi_epochs=1 "
    "--semi_batch_size=2 --semi_warmup_epochs=0 --xla=off"
).split()


def run(root, workdir, *flags):
    paths = [f"--data_dir={root}", f"--workdir={workdir}"]
    return main(["main.py", *SMALL, *paths, *map(str, flags)])


@pytest.fixture
def hostile(tmp_path):
    """A folder with everything that people's folders have."""
    root = write_folder(tmp_path / "images", per_class=8, unlabeled=12, test=4)
    cat = root / "train" / "cat"
    whole = (cat / "0.jpg").read_bytes()
    (cat / "empty.jpg").write_bytes(b"")
    (cat / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (cat / "text.jpg").write_text("not an image")
    (cat / "readme.txt").write_text("hello")
    (cat / "broken link.png").symlink_to("nowhere.png")
    (cat / "folder.png").mkdir()
    shutil.copy(cat / "1.png", cat / "really a png.jpg")
    loose = root / "unlabeled"
    Image.fromarray(picture(901)).convert("CMYK").save(loose / "cmyk.jpg")
    Image.fromarray(picture(902)[..., 0].astype("uint16") * 257).save(
        loose / "deep.png"
    )
    Image.fromarray(picture(903)).quantize(16).save(
        loose / "palette.png", transparency=3
    )
    frames = [Image.fromarray(picture(904 + n)) for n in range(3)]
    frames[0].save(loose / "moves.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(picture(908)[:1, :1]).save(loose / "dot.png")
    wide = np.repeat(np.repeat(picture(909), 500, axis=1)[:20, :20000], 1, axis=0)
    Image.fromarray(wide).save(loose / "wide.jpg")
    return root


BAD = {
    "train/cat/broken link.png",
    "train/cat/empty.jpg",
    "train/cat/text.jpg",
    "train/cat/truncated.jpg",
}


def test_a_run_on_bad_images_does_not_start_and_lists_them(hostile, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert run(hostile, workdir) == 2
    captured = capsys.readouterr()
    for name in BAD:
        assert name in captured.out
    assert captured.err.count("\n") == 1
    assert "4 images cannot be read: " in captured.err
    assert "train/cat/broken link.png (" in captured.err
    assert "--skip_bad_images" in captured.err
    report = json.loads((workdir / "check.json").read_text())
    assert {image["name"] for image in report["unreadable"]} == BAD
    assert report["ignored"] == ["train/cat/readme.txt"]
    assert not (workdir / "pretrain").exists() and not (workdir / "split.csv").exists()

    # The same command with the flag goes on; nothing is read twice.
    assert run(hostile, workdir, "--skip_bad_images") == 0
    output = capsys.readouterr().out
    assert "check train images" not in output
    rows = (workdir / "split.csv").read_text().splitlines()[1:]
    assert len(rows) == 16 + 1 + 12 + 6  # labelled folders, copy, loose, odd ones
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    assert evaluation["results"][0]["images"] == 8
    report = json.loads((workdir / "check.json").read_text())
    assert report["parts"]["excluded"] == 4
    assert (workdir / "export" / "1" / "saved_model.pb").exists()


def test_bad_images_that_appear_later_are_found_by_the_check(hostile, tmp_path, capsys):
    for name in BAD:
        (hostile / name).unlink()
    assert run(hostile, tmp_path / "run", "--stages=check") == 0
    report = json.loads((tmp_path / "run" / "check.json").read_text())
    assert report["unreadable"] == []
    assert "done before" not in capsys.readouterr().out
    assert run(hostile, tmp_path / "run", "--stages=check") == 0
    assert "check: done before" in capsys.readouterr().out


def test_bad_test_images_are_left_out(tmp_path):
    root = write_folder(tmp_path / "images", test=4)
    (root / "test" / "dog" / "empty.png").write_bytes(b"")
    workdir = tmp_path / "run"
    stages = "--stages=check,finetune,evaluate"
    assert run(root, workdir, stages, "--skip_bad_images") == 0
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    assert evaluation["results"][0]["images"] == 8


@pytest.mark.parametrize("exact", [True, False])
def test_test_images_in_training_are_refused_unless_allowed(exact, tmp_path, capsys):
    root = write_folder(tmp_path / "images", per_class=8, unlabeled=12, test=4)
    source, copy = root / "test" / "cat" / "1.png", root / "unlabeled" / "copy.png"
    if exact:
        shutil.copy(source, copy)
    else:
        with Image.open(source) as image:
            image.resize((36, 30), Image.Resampling.BICUBIC).save(copy)
    flags = ["--stages=check"]
    assert run(root, tmp_path / "run", *flags) == 2
    line = capsys.readouterr().err
    assert (
        "1 test images also occur in training: test/cat/1.png = unlabeled/copy" in line
    )
    assert run(root, tmp_path / "run", *flags, "--test_duplicates=allow") == 0
    code = run(root, tmp_path / "exact", *flags, "--test_duplicates=refuse_exact")
    assert code == (2 if exact else 0)


def test_without_test_images_validation_takes_their_place(tmp_path, capsys):
    root = write_folder(tmp_path / "images", test=0)
    workdir = tmp_path / "run"
    flags = ["--stages=check,finetune,evaluate", "--validation_per_class=2"]
    assert run(root, workdir, *flags) == 0
    output = capsys.readouterr().out
    assert "validation accuracy" in output and "There are no test images" in output
    assert json.loads((workdir / "evaluation.json").read_text())["part"] == "validation"
    flags = ["--stages=finetune,evaluate,export"]
    assert run(root, tmp_path / "blind", *flags) == 0
    assert "how accurate this is, is not known" in capsys.readouterr().out


def test_what_a_file_is_does_not_depend_on_its_name(hostile):
    assert (
        pathlib.Path(hostile / "train/cat/really a png.jpg").read_bytes()[1:4] == b"PNG"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data_dir=/nowhere"], "should be a folder of images. Received: '/nowhere'"),
        (["--labels_per_class=9"], "Class 'cat' has 6 images, too few for 9 labelled"),
        (["--rand_augment=auto"], "RandAugment should be described as in"),
        (["--class_names=a,a"], "--class_names should be different names"),
        (["--labeled_index=x.csv"], "--labeled_index excludes --labels_per_class"),
        (["--test_duplicates=yes"], "--test_duplicates should be one of: refuse"),
    ],
)
def test_wrong_settings_are_one_line(flags, message, tmp_path, capsys):
    root = write_folder(tmp_path / "images")
    assert run(root, tmp_path / "run", *flags) == 2
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_damaged_scan_is_made_again(tmp_path, capsys):
    flags = ["main.py", *TINY, f"--workdir={tmp_path}", "--stages=check"]
    assert main(flags) == 0
    file = tmp_path / "check" / "train.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20] + b"damaged")
    capsys.readouterr()
    assert main(flags) == 0
    said = "check: what was found before is damaged or of other images: checked again"
    assert said in capsys.readouterr().out
    assert ImageScan.load(file).readable.all()
    assert main(flags) == 0
    assert "check: done before" in capsys.readouterr().out


def test_what_another_run_has_read_is_not_read_again(tmp_path, monkeypatch):
    scans, scan = [], check.scan

    def counted(source, *arguments, **options):
        scans.append(len(source))
        return scan(source, *arguments, **options)

    monkeypatch.setattr(check, "scan", counted)
    one, two, three, four = (tmp_path / name for name in ("1", "2", "3", "4"))
    flags = ["main.py", *TINY, "--stages=check"]
    assert main([*flags, f"--workdir={one}"]) == 0
    assert scans == [1438, 359]
    other = [f"--check_from={one}", "--labels_per_class=3", "--seed=1"]
    assert main([*flags, f"--workdir={two}", *other]) == 0
    assert scans == [1438, 359]
    assert ImageScan.load(two / "check" / "train.npz").readable.all()
    # By another limit, and from a folder without a check, images are read.
    assert main([*flags, f"--workdir={three}", *other, "--max_pixels=64"]) == 0
    assert main([*flags, f"--workdir={four}", f"--check_from={tmp_path}"]) == 0
    assert scans == [1438, 359, 1438, 359, 1438, 359]
