"""The formats' two ways: compiled kernels, and Python alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from formats import kernel


@pytest.fixture(scope="module", params=["compiled", "interpreted"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the tests of a module once with the kernels and once without: they must see no difference."""
    way = str(request.param)
    if way == "compiled" and not kernel.COMPILED:
        pytest.skip("the kernels are not compiled: no C compiler when this was installed")
    with pytest.MonkeyPatch.context() as patch:
        if way == "interpreted":
            patch.setattr(kernel, "COMPILED", False)
        yield way
