"""Planted defects fit the product as it is; what their checks say is `make planted`'s matter."""

import ast

import pytest

from scripts.planted import DEFECTS, ROOT, Planted, plant


@pytest.mark.parametrize("defect", DEFECTS, ids=[each.name for each in DEFECTS])
def test_a_defect_has_its_place(defect: Planted, tmp_path):
    """And what is planted is Python, or anything would catch it."""
    file = tmp_path / defect.file
    file.parent.mkdir(parents=True)
    file.write_text((ROOT / defect.file).read_text("utf-8"), "utf-8")
    plant(defect, tmp_path)
    text = file.read_text("utf-8")
    assert defect.new in text
    ast.parse(text)


def test_a_place_that_is_gone_is_told(tmp_path):
    """A defect that changes nothing proves nothing."""
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="not there once"):
        plant(Planted("gone", "a.py", "y = 1\n", "", (), ""), tmp_path)
