"""The rules of the house: who imports whom, what the build knows, file lengths."""

import ast
import glob
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "semivit_tf"

# Who may import whom; these are open to all, and the package itself to none.
OPEN = ("checksum", "contracts", "one_line", "stop_signals", "whole_file")
MAY_IMPORT = {
    "config": set(),
    "layers": set(),
    "losses": set(),
    "backbones": {"layers"},
    "augment": {"layers", "losses"},
    "diffusion": {"layers", "losses"},
    "methods": {"backbones", "diffusion", "layers", "losses", "augment"},
    "data": {"augment"},
    "training": set(),
    "weights": {"backbones", "layers"},
    "evaluation": set(),
    "export": {"augment"},
    "report": {"evaluation"},
    "stages": {
        *(
            "config",
            "backbones",
            "diffusion",
            "methods",
            "data",
            "training",
            "weights",
            "evaluation",
            "report",
            "export",
        )
    },
    "sweep": {"config", "data", "evaluation", "report", "stages"},
    "cli": {"config", "stages", "sweep"},
    "__main__": {"cli"},
    "checksum": set(),
    "contracts": set(),
    "one_line": set(),
    "stop_signals": set(),
    "whole_file": set(),
}
# What runs on any Keras backend, and what answers before TensorFlow is there.
PORTABLE = ("layers", "backbones", "diffusion", "losses", "augment/mixing.py")
STANDARD_ONLY = ("config", "cli.py", *(f"{name}.py" for name in OPEN), "__init__.py")


def sources():
    return sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Returns the dotted names that a file imports, wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(dotted):
    return dotted.split(".")[1] if dotted.startswith("semivit_tf.") else None


def test_no_arrow_between_rooms_is_forbidden():
    seen = 0
    for path in sources():
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for name in imports(path):
            there = room(name)
            if there in (None, here, *OPEN):
                continue
            seen += 1
            assert there in MAY_IMPORT[here], f"{path} may not import {name}"
    assert seen > 50


def test_every_room_has_a_rule_and_a_docstring():
    rooms = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in sources()}
    assert rooms - {"__init__"} == set(MAY_IMPORT)
    for path in sources():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text and text[0].isupper(), path


def test_the_portable_core_does_not_know_tensorflow():
    checked = 0
    for path in sources():
        relative = str(path.relative_to(PACKAGE))
        if relative.startswith(PORTABLE):
            checked += 1
            assert not [n for n in imports(path) if n.startswith("tensorflow")], path
    assert checked > 12


def test_what_answers_at_once_imports_nothing_heavy():
    heavy = {"tensorflow", "keras", "numpy", "scipy", "sklearn", "safetensors"}
    checked = 0
    for path in sources():
        if str(path.relative_to(PACKAGE)).startswith(STANDARD_ONLY):
            checked += 1
            assert not {n.split(".")[0] for n in imports(path)} & heavy, path
    assert checked > 6


def test_methods_use_tensorflow_in_the_steps_only():
    steps = ("train_step", "replicated_fit", "term_means", "labeled", "moving_teacher")
    steps = (*steps, "micro_batches", "label_check")  # the last of data for steps
    for path in sorted((PACKAGE / "methods").glob("*.py")):
        if any(name.startswith("tensorflow") for name in imports(path)):
            assert path.stem in steps, path


def test_files_are_short_and_named_for_something():
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, f"{path} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= 60, f"{path}: {node.name} has {lines} lines"
        assert path.stem not in ("utils", "util", "common", "helpers", "misc"), path


# === The build ===


# Of the statements and expressions of Python, those that a BUILD file may not have.
NOT_STARLARK = (
    *(ast.For, ast.While, ast.If, ast.FunctionDef, ast.ClassDef, ast.Try, ast.With),
    *(ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Starred, ast.SetComp),
    *(ast.GeneratorExp, ast.NamedExpr, ast.Set),
)


def build_targets():
    """Returns `(rule, arguments)` of each target, by running BUILD as Bazel would."""
    targets = []

    def rule(kind):
        return lambda **arguments: targets.append((kind, arguments))

    rules = ("py_library", "py_binary", "py_test")
    text = (ROOT / "BUILD").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, NOT_STARLARK), f"BUILD, line {node.lineno}"
    known = {
        "__builtins__": {"len": len},
        "glob": build_glob,
        "load": lambda file, *names: None,
        "package": lambda **arguments: None,
        **{kind: rule(kind) for kind in rules},
    }
    exec(compile(text, "BUILD", "exec"), known)
    return targets


def build_glob(include, exclude=()):
    """Returns the sorted files of the patterns; like Bazel's, it must find some."""

    def matches(pattern):
        found = glob.glob(pattern, root_dir=ROOT, recursive=True)
        return {pathlib.Path(name).as_posix() for name in found}

    files = set().union(*map(matches, include)) - set().union(*map(matches, exclude))
    assert files and all(map(matches, include)), include
    return sorted(files)


def requirements(file):
    """Returns the packages that a requirements file names, spelled as in labels."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {
        re.split(r"[<>=~]", line)[0].replace("-", "_")
        for line in lines
        if line and line[0] not in "#-"
    }


def test_the_library_names_all_its_packages():
    (library,) = [t for _, t in build_targets() if t["name"] == "semivit_tf"]
    named = {label.removeprefix("@pypi//") for label in library["deps"]}
    assert named == requirements("requirements.txt")


def test_every_source_and_test_is_in_exactly_one_target():
    files = [f for _, target in build_targets() for f in target.get("srcs", ())]
    existing = [
        *sources(),
        ROOT / "main.py",
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "experiments").rglob("*.py"),
    ]
    assert sorted(files) == sorted(p.relative_to(ROOT).as_posix() for p in existing)


def test_every_label_of_the_build_exists():
    targets = build_targets()
    required = requirements("requirements.txt") | requirements("tests/requirements.txt")
    names = [target["name"] for _, target in targets]
    assert len(names) == len(set(names))
    for rule, target in targets:
        for label in target.get("deps", ()):
            package = label.removeprefix("@pypi//")
            if package != label:
                assert package in required, label
            else:
                assert label.removeprefix(":") in names, label
        for file in (*target.get("srcs", ()), *target.get("data", ())):
            assert (ROOT / file).exists(), file
        if rule == "py_test":
            (file,) = target["srcs"]
            assert target["args"] == [file] and target["main_module"] == "pytest"


def test_no_test_needs_another_one():
    """What they share is in files that the build gives to all of them."""
    for path in (ROOT / "tests").rglob("*.py"):
        assert not [name for name in imports(path) if ".test_" in name], path


def test_every_test_file_is_a_test_of_the_build():
    tests = {t["srcs"][0] for rule, t in build_targets() if rule == "py_test"}
    files = {
        p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("test_*.py")
    }
    assert tests == files


# === What people read ===


def documents():
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchors(document):
    """Returns the anchors that headings of a document have on the usual sites."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_links_in_the_documents_lead_somewhere():
    checked = 0
    for document in documents():
        for link in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                checked += 1
                path, _, anchor = link.partition("#")
                target = document.parent / path if path else document
                assert target.exists(), f"{document.name}: {link}"
                assert not anchor or anchor in anchors(target), (
                    f"{document.name}: {link}"
                )
    assert checked > 60


def test_the_readme_is_a_front_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_the_readme_leads_to_all_documents():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for document in (ROOT / "docs").iterdir():
        assert f"](docs/{document.name})" in text, document.name


def test_the_flags_of_the_documents_exist():
    """Those of main.py, of the experiments and of absl, and saved_model_cli's two."""
    command = [sys.executable, "main.py", "--helpfull"]
    help = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    known = {"flagfile", "help", "helpfull", "dir", "all"}
    known |= set(re.findall(r"^  --(\w+)", help.stdout, re.M))
    for path in (ROOT / "experiments").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        known |= set(re.findall(r'add_argument\(\s*"--(\w+)"', source))
    client = ROOT / "experiments" / "serving" / "classify.c"
    known |= set(re.findall(r'"--(\w+)="', client.read_text(encoding="utf-8")))
    named = {
        (document.name, flag)
        for document in documents()
        for code in re.findall(r"```.*?```|`[^`]+`", document.read_text("utf-8"), re.S)
        for flag in re.findall(r"(?<!\S)(?:\")?--(\w+)\b(?!--)", code.strip("`"))
    }
    assert len(named) > 40
    assert not [(name, flag) for name, flag in named if flag not in known]


def test_public_names_are_documented_and_importable():
    import semivit_tf

    assert semivit_tf.__all__ == sorted(semivit_tf.__all__)
    for name in semivit_tf.__all__:
        assert getattr(semivit_tf, name).__doc__, name
    assert set(semivit_tf.__all__) <= set(dir(semivit_tf))
