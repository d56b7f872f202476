"""A folder that appears complete or not at all."""

import pytest

from softcall.core.errors import SoftcallError
from softcall.core.new_folder import new_folder


def _names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def test_it_appears_when_the_block_ends(tmp_path):
    with new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "file").write_text("whole")
        assert not (tmp_path / "deep/out").exists()
    assert _names(tmp_path) == ["deep", "deep/out", "deep/out/file"]


def test_nothing_is_left_of_a_block_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("half")
        raise ZeroDivisionError
    assert _names(tmp_path) == []


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "file").touch()
    assert _names(tmp_path) == ["out", "out/file"]


def test_an_existing_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SoftcallError, match="exists"), new_folder(tmp_path):
        pytest.fail("no work")


def test_a_replaceable_folder_stays_until_the_new_one_is_whole(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "base.json").write_text("old")
    with pytest.raises(ZeroDivisionError), new_folder(out, replaceable="base.json"):
        raise ZeroDivisionError
    assert (out / "base.json").read_text() == "old"
    with new_folder(out, replaceable="base.json") as folder:
        (folder / "base.json").write_text("new")
        assert (out / "base.json").read_text() == "old"
    assert (out / "base.json").read_text() == "new"
    assert _names(tmp_path) == ["out", "out/base.json"]


def test_a_folder_of_another_kind_is_never_replaced(tmp_path):
    out = tmp_path / "home"
    out.mkdir()
    (out / "letters").touch()
    with pytest.raises(SoftcallError, match="exists"), new_folder(out, replaceable="base.json"):
        pytest.fail("no work")
    assert _names(tmp_path) == ["home", "home/letters"]


@pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: path.symlink_to("/nowhere")])
def test_what_is_no_folder_is_refused(tmp_path, make):
    make(tmp_path / "out")
    with pytest.raises(SoftcallError, match="is not a folder"), new_folder(tmp_path / "out", replaceable="x"):
        pytest.fail("no work")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(SoftcallError, match=r"cannot write .*file/out"),
        new_folder(tmp_path / "file" / "out"),
    ):
        pytest.fail("no work")
