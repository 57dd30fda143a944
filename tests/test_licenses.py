"""The licenses of what is locked; `make sbom` writes them all down."""

import pytest

from tools import licenses


@pytest.mark.parametrize("name", sorted(licenses.installed()))
def test_a_package_tells_a_license_that_fits(name):
    assert licenses.is_compatible(licenses.license_of(licenses.installed()[name]))


def test_so_do_those_of_the_page():
    assert len(licenses.npm_locked()) > 50
    for name, _, expression in licenses.npm_locked():
        assert licenses.is_compatible(expression), name


@pytest.mark.parametrize("expression", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "", "UNKNOWN", "LicenseRef-X"])
def test_others_do_not_fit(expression):
    assert not licenses.is_compatible(expression)


def test_all_of_the_lock_is_read():
    names = [name for name, _, _ in licenses.locked()]
    assert {"paddlepaddle", "numpy", "jupyterlab", "pywinpty"} <= set(names)
    assert all(hashes for _, _, hashes in licenses.locked())
