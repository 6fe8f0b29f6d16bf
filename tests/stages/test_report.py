"""The page of a run: its numbers, who can read it, and when it is made again."""

import json
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from semivit_tf.config import Config
from semivit_tf.evaluation.comparison import HELPED, HURT, UNCLEAR
from semivit_tf.stages import report_content as said
from semivit_tf.stages.predictions import read_predictions
from semivit_tf.stages.result_file import read_result, write_result
from semivit_tf.training.weight_files import read_arrays, write_arrays
from tests.report.html import Page, check_readable
from tests.stages.runs import run, served_by

CLASSES = ["<script>alert('1')<", 'Käse "$x$" & 猫', "zebra"]
FLAGS = [
    "--dataset=folder",
    "--labels_per_class=4",
    "--finetune_epochs=10",
    "--validations=1",
    "--finetune_base_learning_rate=0.1",
    "--finetune_mixup_alpha=0",
    "--finetune_cutmix_alpha=0",
    "--finetune_layer_decay=1",
    "--finetune_drop_path=0",
    "--finetune_batch_size=12",
    "--semi_batch_size=4",
    "--semi_unlabeled_per_labeled=2",
    "--semi_base_learning_rate=0",
    "--semi_minimum_learning_rate=0",
    "--semi_ema_momentum=1",
    "--semi_drop_path=0",
    "--image_size=16",
    "--augmentation=none",
]
LEARN = "check,probe,finetune,semi_finetune"
STAGES = f"--stages={LEARN},evaluate,report"


def draw(folder, count, generator):
    """Writes so many images of each class: one of three colours, with noise."""
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for place in range(count):
            image = generator.integers(0, 90, (16, 16, 3))
            image[..., number] += 160
            png = tf.io.encode_png(image.astype("uint8")).numpy()
            (folder / name / f"{place}'s.png").write_bytes(png)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for part, count in (("train", 9), ("val", 4), ("test", 6)):
        draw(folder / part, count, generator)
    first, second = (folder / "test" / name / "0's.png" for name in CLASSES[:2])
    second.write_bytes(first.read_bytes())  # of another class
    return folder


@pytest.fixture(scope="module")
def finished_once(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert run(*FLAGS, f"--data_dir={photos}", f"--workdir={folder}", STAGES) == 0
    return folder


@pytest.fixture
def finished(finished_once, tmp_path):
    return shutil.copytree(finished_once, tmp_path / "run")


@pytest.fixture
def again(photos, capsys):
    """Returns a function that starts stages in a folder and returns what they said."""

    def start(folder, stages="report", *flags):
        capsys.readouterr()
        given = [*FLAGS, f"--data_dir={photos}", f"--workdir={folder}", *flags]
        assert run(*given, f"--stages={stages}") == 0
        return capsys.readouterr().out

    return start


def page_of(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_numbers_are_those_of_the_evaluation(finished_once):
    page = page_of(finished_once)
    content = json.loads((finished_once / "evaluation.json").read_text())
    rows = content["results"]
    assert page.numbers("data-accuracy") == [row["accuracy"] for row in rows]
    changes = [content["teacher_against_finetune"], content["teacher_against_probe"]]
    expected = [found["accuracy_change"] for found in changes]
    assert page.numbers("data-change") == expected
    (row,) = [row for row in rows if row["exported"]]
    recalls = [one["recall"] for one in row["classes"]]
    assert page.numbers("data-recall") == recalls
    cells = [one["text"] for one in page.all("td") if "style" in one["attributes"]]
    assert [int(text) for text in cells] == np.ravel(row["confusion"]).tolist()
    assert (
        "Unlabelled images made no clear difference, +0.0 to +0.0"
        in (page.all("p", **{"class": "verdict even"})[0]["text"])
    )


def test_what_was_answered_on_each_image_is_kept(finished_once):
    file = finished_once / "evaluation.json"
    content = read_result(file)
    found = read_predictions(file, content)
    assert found.index.tolist() == list(range(18))
    assert found.labels.tolist() == sorted([0, 1, 2] * 6)
    for row in content["results"]:
        name = said.name_of(row)
        right = found.classes[name] == found.labels
        assert right.mean() == pytest.approx(row["accuracy"])
        confidences = found.confidences[name]
        assert (confidences >= 1 / 3).all() and (confidences <= 1).all()
    probed = json.loads((finished_once / "probe.json").read_text())
    linear = read_predictions(finished_once / "probe.json", probed)
    assert linear.same_images(found)
    assert (linear.classes["linear"] == found.labels).mean() == pytest.approx(
        probed["linear"]["accuracy"]
    )
    calibrated = said.main_row(content)["calibration"]
    shown = [row["ece"] for row in said.calibration(content)["rows"]]
    assert shown[0] == calibrated["ece"] and len(shown) == 1 + ("after" in calibrated)
    assert page_of(finished_once).numbers("data-ece") == shown


def test_anyone_can_read_it_offline(finished_once):
    page = page_of(finished_once)
    check_readable(page)
    assert (finished_once / "report.html").stat().st_size < 1_000_000
    ids = [one["attributes"]["id"] for one in page.all("section")]
    parts = "verdict data learning classes mistakes confidence attention run".split()
    assert ids == parts
    assert len(page.all("table", **{"class": "sorts"})) == 3
    (mistake,) = page.all("li", **{"class": "mistake"})
    assert CLASSES[0] in mistake["text"] and f"truly {CLASSES[1]}." in mistake["text"]
    alts = [one["attributes"]["alt"] for one in page.all("img")]
    assert f"{CLASSES[1]}, taken for {CLASSES[0]}" in alts
    assert alts.count(f"alike: {CLASSES[0]}") == 3


def test_names_are_text(finished_once):
    page = page_of(finished_once)
    heads = [one["text"] for one in page.all("th", scope="row")]
    texts = "".join(one["text"] for one in page.all("text"))
    alts = " ".join(one["attributes"]["alt"] for one in page.all("img"))
    for name in CLASSES:
        assert heads.count(name) >= 3  # counts, results, confusion
        assert name in texts and name in alts


def test_fewer_classes_are_shown_than_there_are(finished, again):
    again(finished, "report", "--report_images=2")
    page = page_of(finished)
    assert [one["text"] for one in page.all("h4")] == [CLASSES[0], CLASSES[2]]
    assert "Of 2 of 3 classes." in [one["text"] for one in page.all("p")]


def test_the_page_stays_until_something_changes(finished, again):
    page = finished / "report.html"
    before = page.stat().st_mtime_ns
    again(finished)
    assert page.stat().st_mtime_ns == before
    with open(finished / "semi_finetune" / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 3, "step": 9, "loss": 7.5}\n{"epo')
    assert "metrics.jsonl: 1 damaged lines are left out" in again(finished)
    assert "loss from" in page.read_text() and "to 7.5;" in page.read_text()
    page.write_bytes(page.read_bytes()[:1000])
    text = again(finished, "report", "--report_images=0")
    assert "report.html is not as it was written: made again" in text
    found = page_of(finished)
    assert not found.all("img")
    assert found.all("svg") and found.numbers("data-accuracy")


def test_damaged_files_are_left_out_in_one_line(finished, again):
    (finished / "check.json").write_text('{"images": 3')
    (finished / "evaluation.json").write_text('{"part": "test"}')
    (finished / "finetune/pictures").mkdir()
    (finished / "finetune/pictures/epoch-00002.png").write_bytes(b"\x89PNG")
    lines = again(finished).splitlines()
    for file in ("check.json", "evaluation.json", "epoch-00002.png"):
        (line,) = [line for line in lines if file in line]
        assert "left out of the report" in line
    page = page_of(finished)
    check_readable(page)
    assert (
        "nothing was evaluated" in page.all("p", **{"class": "verdict even"})[0]["text"]
    )
    # And an evaluation that has lost its predictions is measured again.
    assert "is not as it was written: measured again" in again(finished, "evaluate")
    (finished / "evaluation.safetensors").unlink()
    lost = "evaluation.safetensors is not as it was written: measured again"
    assert lost in again(finished, "evaluate")
    assert (finished / "evaluation.safetensors").exists()


def test_a_worse_stage_three_is_not_exported(finished, again):
    """Its teacher is told to answer the first class, which validation images see."""
    for best in ("", "best/"):
        file = finished / f"semi_finetune/weights/{best}teacher.safetensors"
        arrays, metadata = read_arrays(file)
        bias = np.array([99, 0, 0], "float32")
        write_arrays(file, {**arrays, "head/bias": bias}, metadata)
    text = again(finished, "evaluate,export")
    assert "Unlabelled images hurt by" in text
    assert (
        "On 12 validation images semi_finetune teacher best is worse than finetune "
        "student best by 66.7 points"
    ) in text
    assert served_by(finished / "export.json") == ["finetune", "student", "best"]

    def exported():
        rows = json.loads((finished / "evaluation.json").read_text())["results"]
        return [said.name_of(row) for row in rows if row["exported"]]

    assert exported() == ["finetune student best"]
    # Who asks for the teacher gets it.
    again(finished, "evaluate", "--export_weights=teacher")
    assert exported() == ["semi_finetune teacher best"]


def test_what_stages_cost_is_noted_once(finished, again):
    lines = (finished / "costs.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    names = ["check", "finetune", "semi_finetune"]
    assert [one["stage"] for one in found] == names
    assert all(one["seconds"] > 0 and one["bytes"] > 1e8 for one in found)
    again(finished, "check,finetune,semi_finetune")
    assert (finished / "costs.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("answer", "mood"), [(HELPED, "good"), (HURT, "bad"), (UNCLEAR, "even")]
)
def test_the_headline_has_a_mood(answer, mood):
    compared = {"accuracy_change": 0.1, "interval": [0.05, 0.15], "repaired": 9}
    compared |= {"broken": 1, "p_value": 0.02, "answer": answer}
    row = {"stage": "second", "weights": "student", "images": 80, "accuracy": 0.5}
    content = {"part": "test", "results": [row], "teacher_against_second": compared}
    found = said.verdict(content)
    assert found["mood"] == mood and answer.split()[-1] in found["sentence"]
    alone = said.verdict({"part": "test", "results": [row]})
    assert alone["sentence"] == (
        "Nothing to compare with: second student is right on 50.0 % of 80 test images."
    )


def test_it_says_what_cannot_be_known():
    none = np.zeros(0, int)
    data = types.SimpleNamespace(
        split=types.SimpleNamespace(validation=none),
        parts=types.SimpleNamespace(test=None),
    )
    found = said.unknown(types.SimpleNamespace(data=data, config=Config()), None)
    assert [text.partition(":")[2].strip() for text in found] == [
        "there are no test images.",
        "there are no validation images.",
        "the run was not evaluated.",
    ]


def test_results_with_a_calibration_show_it(finished_once):
    content = read_result(finished_once / "evaluation.json")
    bins = [{"confidence": 0.8, "accuracy": 0.75, "images": 18}]
    after = {"bins": bins, "ece": 0.05, "brier": 0.25}
    row = said.main_row(content)["calibration"]
    row |= {"after": after, "fitted": {"temperatures": [1.5, 0.75, 1.5]}}
    shown = said.calibration(content)
    assert len(shown["plots"]) == 2
    assert shown["rows"] == [
        {
            **{"name": "as learned", "ece": row["ece"], "brier": row["brier"]},
            "temperature": None,
        },
        {
            **{"name": "calibrated", "ece": 0.05, "brier": 0.25},
            "temperature": "0.75 to 1.50",
        },
    ]


def test_a_result_is_tied_to_its_predictions(tmp_path):
    from semivit_tf.stages.predictions import Predictions, beside, write_predictions

    file = tmp_path / "found.json"
    made = Predictions(np.array([2, 5]), np.array([0, 1]))
    made.add("one best", np.array([[0.9, 0.1], [0.6, 0.4]]))
    content = write_predictions(file, made)
    write_result(file, content)
    found = read_predictions(file, read_result(file))
    assert found.same_images(made)
    assert found.classes["one best"].tolist() == [0, 0]
    assert found.confidences["one best"].tolist() == pytest.approx([0.9, 0.6])
    assert beside(file).stat().st_size < 1000
    other = bytearray(beside(file).read_bytes())
    other[-1] ^= 1
    beside(file).write_bytes(other)
    assert read_predictions(file, content) is None
    assert read_predictions(file, {}) is None
