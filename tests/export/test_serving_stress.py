"""The served model under mixed and hostile requests, as experiments/ asks them."""

import importlib
import pathlib

import pytest

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
KINDS = {
    "bombs",
    "damaged files",
    "files",
    "pixels",
    "pixels of another size",
    "pixels of other channels",
}


@pytest.fixture
def stress(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return importlib.import_module("serving_stress")


def test_every_request_is_answered_right_and_memory_stays(stress, tmp_path):
    found = stress.measure(tmp_path, threads=3, count=60)
    assert found["asked"].keys() == KINDS
    assert sum(found["asked"].values()) == 180
    assert found["right"] == found["asked"]
    memory = found["megabytes"]
    assert memory["at most"] <= 1.1 * memory["after 100"]


def test_a_wrong_answer_is_seen(stress, tmp_path, monkeypatch):
    """Of a model that is not the one whose answers are expected."""
    right, build = stress.make_requests, stress.build_model

    def of_another(model, generator):
        other = build()
        other.head.kernel.assign(-other.head.kernel)
        return right(other, generator)

    monkeypatch.setattr(stress, "make_requests", of_another)
    found = stress.measure(tmp_path, threads=1, count=stress.FIRST)
    assert found["right"]["pixels"] == found["right"]["files"] == 0
    assert found["right"]["pixels of other channels"] > 0
