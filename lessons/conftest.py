"""The pytest plug-in that grades the lessons: `pytest lessons/03`. Nothing here needs to be changed."""

from dino.course.pytest_plugin import pytest_configure, pytest_pycollect_makemodule, pytest_unconfigure

__all__ = ["pytest_configure", "pytest_pycollect_makemodule", "pytest_unconfigure"]
