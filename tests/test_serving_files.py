"""The files of experiments/serving fit what the package exports and installs."""

import pathlib
import re
import shutil
import subprocess
import tomllib
from importlib.util import find_spec

import pytest
import yaml

from semivit_tf.cli import parse

ROOT = pathlib.Path(__file__).parents[1]
SERVING = ROOT / "experiments" / "serving"


def test_the_server_is_given_what_the_quickstart_exports():
    text = (SERVING / "compose.yaml").read_text(encoding="utf-8")
    usual = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    (server,) = usual["services"].values()
    assert server["image"] == "tensorflow/serving"
    assert server["ports"] == ["8500:8500", "8501:8501"]
    (volume,) = server["volumes"]
    source, target, mode = volume.split(":")
    flagfile = ROOT / "experiments" / "quickstart.flags"
    config = parse(["main.py", f"--flagfile={flagfile}"])
    exported = ROOT / config.run.workdir / "export"
    assert (SERVING / source).resolve() == exported.resolve()
    # The server looks for /models/NAME, and the documents ask for models/NAME.
    assert (
        target == f"/models/{server['environment']['MODEL_NAME']}" == "/models/digits"
    )
    assert mode == "ro"


def test_the_container_has_what_the_wheel_is_made_of():
    text = (SERVING / "Dockerfile").read_text(encoding="utf-8")
    copied = re.search(r"^COPY (pyproject.*) \./$", text, re.M)[1].split()
    assert all((ROOT / name).is_file() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dynamic = project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"]
    about = project["project"]
    read = ["pyproject.toml", about["readme"], *about["license-files"], *dynamic]
    assert sorted(copied) == sorted(read)
    assert "COPY semivit_tf ./semivit_tf" in text
    (command,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', text, re.M)
    assert project["project"]["scripts"] == {command: "semivit_tf.cli:main"}


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_the_c_client_compiles_without_a_warning():
    """Linking takes long, and is left to `experiments/c_client.py`."""
    tensorflow = pathlib.Path(find_spec("tensorflow").origin).parent
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    source = SERVING / "classify.c"
    command = ["cc", *options, f"-I{tensorflow}/include", source]
    subprocess.run(command, check=True)
