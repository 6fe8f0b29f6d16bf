"""Names of others in a line: what breaks it is escaped, what people write stays."""

import pytest

from semivit_tf.cli import main
from semivit_tf.data.check_report import check_report
from semivit_tf.data.check_report_text import describe
from semivit_tf.data.file_source import FileSource
from semivit_tf.data.image_scan import scan
from semivit_tf.data.loaders import load_parts
from semivit_tf.export.saved_model import export_saved_model
from semivit_tf.methods.classifier import Classifier
from semivit_tf.one_line import one_line
from tests.data.files import write_folder, write_picture
from tests.methods.small import small_vit

ODD = "a\nb\r\t\x1b[31mc\u2028\u202e\x85\udcff"
ESCAPED = r"a\nb\r\t\x1b[31mc\u2028\u202e\x85\udcff"


def test_what_breaks_a_line_is_escaped():
    assert one_line(ODD) == ESCAPED
    assert one_line(ESCAPED) == ESCAPED and one_line("") == ""


@pytest.mark.parametrize(
    "name", ["chat noir", "\u732b", "\u0645\u06cc\u200c\u062e", "\xa0"]
)
def test_what_people_write_stays(name):
    assert one_line(name) == name


def test_files_are_named_in_one_line(tmp_path):
    source = FileSource(tmp_path, [ODD], [0], ["a"])
    assert source.name(0) == ESCAPED and source.names() == [ESCAPED]


def test_a_report_keeps_its_lines(tmp_path):
    source = FileSource(tmp_path, ["missing.png"], [0], ["k"])
    found, odd = scan(source), "x\ny"
    report = check_report([0], [odd], ["labeled"], [odd], found)
    lines = describe(report).splitlines()
    assert r"  x\ny (labelled): file not found, or a broken link" in lines
    assert [line.split() for line in lines if line.startswith(r"  x\ny  ")] == [
        [r"x\ny", "1"]
    ]
    assert "Labelled images a class: 1 of each." in lines


def test_classes_that_would_break_class_names_txt_are_refused(tmp_path):
    root = write_folder(tmp_path / "images")
    write_picture(root / "train" / "two\nlines" / "0.png", 0)
    with pytest.raises(ValueError, match=r"one line each.*Received: two\\nlines$"):
        load_parts("folder", root)
    model = Classifier(small_vit(image_size=8, channels=1), 2)
    with pytest.raises(ValueError, match=r"Received: a\\nb$"):
        export_saved_model(model, tmp_path / "export", ["a\nb", "c"])
    assert not (tmp_path / "export").exists()


def test_an_error_of_the_command_line_is_one_line(tmp_path, capsys):
    root = write_folder(tmp_path / "two\nlines\x1b[2J", test=0)
    (root / "train/cat/bad\nname.png").write_bytes(b"")
    flags = [f"--data_dir={root}", "--dataset=folder", "--backbone=vit_small_patch16"]
    flags += [f"--workdir={tmp_path / 'run'}", "--stages=check", "--labels_per_class=1"]
    assert main(["main.py", *flags]) == 2
    captured = capsys.readouterr()
    assert (
        captured.err.count("\n") == 1 and r"bad\nname.png (empty file)" in captured.err
    )
    assert "\x1b" not in captured.err + captured.out
    assert main(["main.py", *flags, "--dataset=csv"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "\x1b" not in error
