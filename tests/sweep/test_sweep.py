"""What a sweep runs, shares, keeps and shows, and that it runs."""

import json
import shutil
import xml.etree.ElementTree

import pytest

from semivit_tf.cli import main
from semivit_tf.config.settings import InputError
from semivit_tf.stages import kept_features
from semivit_tf.sweep.sweep import Sweep
from semivit_tf.sweep.table import markdown
from tests.stages.runs import TINY
from tests.sweep.sweeps import CNN, Played, settings_of, swept

LABELS = ["--sweep_labels=2,1", "--sweep_seeds=0,2", f"--sweep_cnn={CNN}"]
TRAINED = [*LABELS, "--sweep_ways=vit,vit_twice,semi_vit,cnn,semi_cnn"]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A finished sweep: its folder, its content, and the settings of its runs."""
    folder = tmp_path_factory.mktemp("sweep") / "digits"
    runs = Played()
    return folder, swept(folder, *TRAINED, carry_out=runs), runs.configs


def test_runs_are_done_once_and_seed_by_seed(played):
    _, _, configs = played
    assert list(configs) == [
        *("shared", "labels1_seed0_cnn", "shared_vit", "labels1_seed0_vit"),
        *("labels2_seed0_cnn", "labels2_seed0_vit", "labels4_seed0_vit"),
        *("labels1_seed2_cnn", "labels1_seed2_vit", "labels2_seed2_cnn"),
        *("labels2_seed2_vit", "labels4_seed2_vit"),
    ]
    stages = {name: config.run.stages for name, config in configs.items()}
    assert stages["shared"] == "check" and stages["shared_vit"] == "check,pretrain"
    assert stages["labels4_seed2_vit"] == "check,finetune,evaluate"
    for network in ("cnn", "vit"):
        both = "check,finetune,semi_finetune,evaluate"
        assert stages[f"labels2_seed2_{network}"] == both


def test_runs_share_flags_the_check_and_stage_one(played):
    folder, _, configs = played
    one, other = configs["labels2_seed2_vit"], configs["labels2_seed2_cnn"]
    assert configs["shared_vit"].run.check_from == str(folder / "shared")
    for config, shared in ((one, "shared_vit"), (other, "shared")):
        assert config.data.labels_per_class == 2 and config.run.seed == 2
        assert config.run.check_from == str(folder / shared)
        assert config.run.fit_batch_sizes and config.sweep.labels is None
        assert config.semi.epochs == 2 and config.finetune.batch_size == 20
    encoder = folder / "shared_vit" / "pretrain" / "weights" / "encoder.safetensors"
    assert one.backbone.init_from == str(encoder)
    assert (one.backbone.width, one.finetune.epochs) == (8, 3)
    assert other.backbone.init_from is None and other.backbone.width is None
    assert (other.backbone.widths, other.finetune.epochs) == ("8", 2)


def test_the_table_has_means_and_deviations(played):
    folder, content, _ = played
    table = (folder / "table.md").read_text()
    assert table == markdown(content) + "\n"
    # Tenths: labels and seed, and two more after stage 3.
    four = "20.0 +- 14.1 | 20.0 +- 14.1 | 20.0 +- 14.1 | 20.0 +- 14.1 | 2 |"
    assert f"| 1 | ViT, fine-tuned | {four}" in table
    for start in ("1 | ViT, fine-tuned, twice the labels", "2 | CNN, fine-tuned"):
        assert f"| {start} | 30.0 +- 14.1 |" in table
    assert "| 2 | Semi-ViT | 50.0 +- 14.1 |" in table
    assert content["results"]["4"]["2"] == {
        "vit": {
            **dict.fromkeys(("accuracy", "macro_precision", "macro_recall"), 0.6),
            **{"macro_f1": 0.6, "images": 10, "labels_used": 40},
        }
    }
    plot = xml.etree.ElementTree.parse(folder / "accuracy_over_labels.svg")
    assert "Semi-ViT" in "".join(plot.getroot().itertext())


@pytest.fixture
def networks_unchecked(monkeypatch):
    """Building networks, which `played` has done, takes seconds."""
    monkeypatch.setattr(Sweep, "check_networks", lambda self, networks: None)


def test_finished_runs_are_not_run_again_though_their_folders_are_gone(
    played, networks_unchecked, tmp_path
):
    source, before, _ = played
    folder = tmp_path / "digits"
    shutil.copytree(source, folder)
    for gone in ("runs", "shared", "shared_vit"):
        shutil.rmtree(folder / gone)
    runs = Played()
    assert swept(folder, *TRAINED, carry_out=runs) == {
        **before,
        "command": before["command"].replace(str(source), str(folder)),
    }
    assert not runs.configs
    more = [*TRAINED, "--sweep_seeds=0,1", "--sweep_ways=cnn"]
    content = swept(folder, *more, carry_out=runs)
    assert set(runs.configs) == {"shared", "labels1_seed1_cnn", "labels2_seed1_cnn"}
    assert content["results"]["1"]["2"] == before["results"]["1"]["2"]
    assert "| 1 | CNN, fine-tuned | 15.0 +- 7.1 |" in markdown(content)


def refused(folder, *flags):
    """Returns why a sweep is refused; nothing is run."""
    runs = Played()
    with pytest.raises(InputError) as caught:
        swept(folder, *flags, carry_out=runs)
    assert not runs.configs and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sweep_of_something_else_is_refused(played, tmp_path):
    folder, _, _ = played
    line = refused(folder, *TRAINED, "--finetune_epochs=4")
    assert "flags finetune_epochs: 4 (was 3)" in line and "cnn_flags" not in line
    other = f"--sweep_cnn={CNN} --semi_epochs=9"
    assert "cnn_flags semi_epochs: 9 (was 2)" in refused(folder, *TRAINED, other)
    named = ["--class_names=a,b,c,d,e,f,g,h,i,j"]
    assert "flags class_names" in refused(folder, *TRAINED, *named)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").touch()
    assert "holds a run" in refused(run, *TRAINED)


def test_what_cannot_be_swept_is_refused_at_once(tmp_path):
    folder = tmp_path / "sweep"
    for flags, reason in (
        (["--sweep_labels=1,x"], "--sweep_labels should be positive whole numbers"),
        (["--sweep_labels=1", "--sweep_seeds=-1"], "--sweep_seeds should be whole"),
        (["--sweep_labels=1", "--sweep_ways=vit,cnn"], "those of a CNN need"),
        (["--sweep_labels=1", "--plan"], "--sweep_labels=1 excludes --plan"),
        (["--sweep_labels=1,500"], "too few for 500 labelled"),
        ([*LABELS, "--init_from=vit.pth"], "--sweep_cnn_from_scratch"),
        ([*LABELS, "--sweep_coarse=none.csv"], "none.csv"),
    ):
        assert reason in refused(folder, *flags), flags
    assert not folder.exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--backbone=keras_applications:ResNet50V2"], True),
        (["--backbone=keras_applications:ResNet50V2:imagenet"], False),
        (["--backbone=keras:company.keras", "--pixel_scaling=unit"], False),
    ],
)
def test_networks_made_elsewhere_may_bring_their_weights(tmp_path, flags, expected):
    extra = "--finetune_drop_path=0 --finetune_layer_decay=1 --semi_drop_path=0 "
    extra += "--semi_layer_decay=1 "
    cnn = f"--sweep_cnn={extra}{' '.join(flags)}"
    ways = ["--sweep_labels=500", "--init_from=vit.pth", cnn]
    # The labels are too many: what is fair is looked at before.
    assert ("--sweep_cnn_from_scratch" in refused(tmp_path, *ways)) == expected


def test_twice_the_labels_are_left_out_where_a_class_has_fewer(
    networks_unchecked, tmp_path
):
    """The rarest digit has 139 training images."""
    said, runs = [], Played()
    flags = ["--sweep_labels=100", "--sweep_seeds=0", "--sweep_ways=vit,vit_twice"]
    content = swept(tmp_path / "sweep", *flags, carry_out=runs, said=said)
    assert set(runs.configs) == {"shared_vit", "labels100_seed0_vit"}
    assert "left out: labels200_seed0_vit. Class" in said[0]
    assert "| 100 | ViT, fine-tuned, twice the labels | - |" in markdown(content)


def test_a_stage_one_that_depends_on_the_seed_is_done_for_each(
    networks_unchecked, tmp_path
):
    runs = Played()
    flags = ["--sweep_labels=1", "--sweep_seeds=3,1", "--sweep_ways=vit"]
    swept(tmp_path / "a", *flags, "--validation_per_class=1", carry_out=runs)
    assert list(runs.configs) == [
        *("shared_vit_seed3", "labels1_seed3_vit"),
        *("shared_vit_seed1", "labels1_seed1_vit"),
    ]
    assert runs.configs["shared_vit_seed1"].run.seed == 1


def test_probes_of_all_labels_and_seeds_compute_features_once(tmp_path, monkeypatch):
    passes, extract = [], kept_features.extract_features

    def counted(encode, batches):
        passes.append(1)
        return extract(encode, batches)

    monkeypatch.setattr(kept_features, "extract_features", counted)
    flags = ["--sweep_labels=1,10", "--sweep_seeds=0", "--sweep_ways=probe"]
    flags += ["--stages=finetune"]
    folder = tmp_path / "sweep"
    content = swept(folder, *flags, carry_out=None)
    assert len(passes) == 2  # of training and of test images
    found = content["results"]
    one, ten = (found[labels]["0"]["probe"] for labels in ("1", "10"))
    # Eight numbers a digit, untrained: better than chance, and with more labels.
    assert 0.1 < one["accuracy"] < ten["accuracy"]
    assert (one["labels_used"], ten["labels_used"]) == (10, 100)
    assert ten["images"] == 359
    more = ["--sweep_labels=1", "--sweep_seeds=1"]
    content = swept(folder, *flags, *more, carry_out=None)
    assert len(passes) == 2 and set(content["results"]["1"]) == {"0", "1"}


def test_coarse_classes_are_counted_from_the_confusion(tmp_path):
    table = tmp_path / "coarse.csv"
    rows = [f"{digit},{'odd' if digit % 2 else 'even'}" for digit in range(10)]
    table.write_text("\n".join(["class,coarse", *rows]))
    flags = ["--sweep_labels=1", "--sweep_seeds=0", "--sweep_ways=probe"]
    flags += ["--stages=finetune", f"--sweep_coarse={table}"]
    content = swept(tmp_path / "sweep", *flags, carry_out=None)
    found = content["results"]["1"]["0"]["probe"]
    assert found["accuracy"] < found["coarse_accuracy"] < 1
    assert "| coarse accuracy |" in markdown(content)
    table.write_text(table.read_text().replace("odd", "uneven"))
    assert "coarse 1: 'uneven' (was 'odd')" in refused(tmp_path / "sweep", *flags)


def test_the_command_runs_what_a_single_run_does(tmp_path, capfd):
    """In processes of their own; the only ones here that are trained."""
    folder = tmp_path / "sweep"
    flags = [f"--workdir={folder}", "--stages=finetune", "--finetune_epochs=2"]
    flags += ["--sweep_labels=2", "--sweep_seeds=1", "--sweep_ways=vit"]
    assert main(["main.py", *TINY, *flags]) == 0
    content = json.loads((folder / "sweep.json").read_text())
    run = folder / "runs" / "labels2_seed1_vit"
    (row,) = json.loads((run / "evaluation.json").read_text())["results"]
    found = content["results"]["2"]["1"]["vit"]
    assert found["accuracy"] == row["accuracy"] > 0.1
    assert found["macro_f1"] == row["macro_f1"]
    output = capfd.readouterr().out
    assert "=== run 1 of 1: 2 labels a class, seed 1: ViT, fine-tuned ===" in output
    assert markdown(content) in output
    config = settings_of(folder, *flags)[1]
    assert (
        config.command_line()
        == settings_of(folder, *config.command_line())[1].command_line()
    )
