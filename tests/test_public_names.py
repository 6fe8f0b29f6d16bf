"""Public names have types and docstrings, as read from the source."""

import ast
import pathlib

import pytest

import semivit_tf

ROOT = pathlib.Path(__file__).parents[1]
NAMED = {name: semivit_tf._PUBLIC[name] for name in sorted(semivit_tf._PUBLIC)}
# Those that are reached through their rooms.
NAMED |= {
    "Calibration": "semivit_tf.export",
    "DiscreteSchedule": "semivit_tf.diffusion",
    "LinearSchedule": "semivit_tf.diffusion",
    "RandAugment": "semivit_tf.augment.rand_augment",
    "UViT": "semivit_tf.diffusion",
    "layer_wise_adamw": "semivit_tf.training.optimizers",
    "load_published": "semivit_tf.weights",
    "probabilistic_pseudo_mixup": "semivit_tf.augment.mixing",
    "sample": "semivit_tf.diffusion",
    "solve": "semivit_tf.diffusion",
}


def definition(module, name):
    """Returns the syntax tree of a class or function, found through imports."""
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and name in [a.name for a in node.names]:
            return definition(node.module, name)
    raise AssertionError(f"{module} has no {name}")


def called(node):
    """Returns the function that a call of the name runs, or None if it is inherited."""
    if isinstance(node, ast.FunctionDef):
        return node
    functions = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    return next((one for one in functions if one.name == "__init__"), None)


@pytest.mark.parametrize("name", NAMED)
def test_a_public_name_has_types_and_a_docstring(name):
    node = definition(NAMED[name], name)
    text = ast.get_docstring(node)
    assert text and text[0].isupper() and text.splitlines()[0].endswith(".")
    function = called(node)
    if function is None:
        return
    given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    untyped = [one.arg for one in given if one.arg != "self" and not one.annotation]
    assert not untyped
    if function is node:
        assert function.returns, "what it returns has no type"


def test_rooms_have_docstrings():
    for room in semivit_tf._ROOMS:
        text = (ROOT / "semivit_tf" / room / "__init__.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), room


def test_the_wheel_says_that_it_has_types():
    assert (ROOT / "semivit_tf" / "py.typed").exists()
    assert 'semivit_tf = ["py.typed"]' in (ROOT / "pyproject.toml").read_text()
