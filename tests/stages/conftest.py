"""What tests of stages share: processes that are forked, and runs that are copied."""

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
def finetuned_once(tmp_path_factory):
    """The folder of a run that has done `--stages=finetune`, to be copied."""
    from tests.stages.runs import run

    folder = tmp_path_factory.mktemp("runs") / "finetuned"
    assert run(f"--workdir={folder}", "--stages=finetune") == 0
    return folder


@pytest.fixture
def finetuned(finetuned_once, tmp_path):
    """The same in a folder of the test's own."""
    return shutil.copytree(finetuned_once, tmp_path / "finetuned")
