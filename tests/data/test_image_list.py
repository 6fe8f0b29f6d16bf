"""New images are listed from a folder, a table or a pattern."""

import os

import pytest

from semivit_tf.data.image_list import list_files
from tests.data.files import write_picture

AWKWARD = ["été 雪.png", "two  spaces.png", 'quo"te,.png', "new\nline.png", "*[x].png"]


@pytest.fixture
def folder(tmp_path):
    """A folder with awkward names, one of them within, and what is no image."""
    for number, name in enumerate(AWKWARD):
        write_picture(tmp_path / "new" / name, number, (8, 8))
    write_picture(tmp_path / "new" / "deep" / "er" / "z.png", 9, (8, 8))
    (tmp_path / "new" / "notes.txt").write_text("no image")
    (tmp_path / "new" / ".hidden.png").write_bytes(b"")
    return tmp_path / "new"


def listed(images):
    root, paths = list_files(str(images))
    assert root.is_absolute()
    paths = list(paths)
    assert all((root / path).is_file() for path in paths)
    return paths


def test_a_folder_has_all_its_images(folder):
    assert sorted(listed(folder)) == sorted(
        [*AWKWARD, os.path.join("deep", "er/z.png")]
    )
    assert listed(folder / "deep") == ["er/z.png"]


def test_a_name_that_is_no_text_is_listed(folder):
    name = os.fsdecode(b"\xff.png")
    write_picture(folder / "deep" / name, 3, (8, 8))
    assert sorted(listed(folder / "deep")) == sorted(["er/z.png", name])


def test_a_table_lists_paths_relative_to_itself(folder):
    table = folder / "wanted.csv"
    table.write_text('label,path\nx,"new\nline.png"\n,deep/er/z.png\n,"quo""te,.png"\n')
    assert listed(table) == ["new\nline.png", "deep/er/z.png", 'quo"te,.png']


def test_a_pattern_finds_files(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert listed("new/**/[tz]*.png") == ["new/deep/er/z.png", "new/two  spaces.png"]
    # A name is taken for a pattern only where there is no such file.
    assert listed("new/*[x].png") == ["new/*[x].png"]


def test_what_lists_no_image_is_refused(folder):
    for images in (folder / "nothing", folder / "*.jpg"):
        with pytest.raises(ValueError, match=r"should be a folder of images, a table"):
            list_files(str(images))
    table = folder / "wanted.csv"
    for content, message in (
        ("file\na.png\n", "should have the column path"),
        ("path,label\n,cat\n", "line 2 lacks its path"),
        ("path\n", "and no image in it"),
        ("path\n\xff", "cannot be read as a table"),
    ):
        table.write_bytes(content.encode("latin-1"))
        with pytest.raises(ValueError, match=message):
            list(list_files(str(table))[1])
