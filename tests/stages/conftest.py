"""What tests of stages share: processes that are forked, and runs that are copied."""

import functools
import shutil

import pytest

# As in tests/conftest.py, what imports TensorFlow is imported where it is used.


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts `main.py` or a script with flags, see `Starts`."""
    from tests.stages.starts import Starts

    starts = Starts(tmp_path_factory.mktemp("starts"))
    yield starts
    starts.close()


@pytest.fixture(scope="session")
def after_once(tmp_path_factory):
    """Makes the folder of a run that has done one stage, to be copied."""
    from tests.stages.runs import run

    @functools.cache
    def folder_after(stage):
        folder = tmp_path_factory.mktemp("runs") / stage
        assert run(f"--workdir={folder}", f"--stages={stage}") == 0
        return folder

    return folder_after


@pytest.fixture(scope="session")
def finetuned_once(after_once):
    """The folder of a run that has done `--stages=finetune`, to be copied."""
    return after_once("finetune")


@pytest.fixture
def finetuned(finetuned_once, tmp_path):
    """The same in a folder of the test's own."""
    return shutil.copytree(finetuned_once, tmp_path / "finetuned")


@pytest.fixture
def pretrained(after_once, tmp_path):
    """A folder of the test's own of a run that has done `--stages=pretrain`."""
    return shutil.copytree(after_once("pretrain"), tmp_path / "pretrained")
