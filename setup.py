"""The kernels of formats/kernel, compiled where there is a C compiler and left out where there is none.

All else that there is to say of the package is in setup.cfg.
"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCES = sorted(Path("formats/kernel").glob("*.pyx"))

setup(
    ext_modules=cythonize(
        [
            Extension(
                ".".join(source.with_suffix("").parts),
                [str(source)],
                optional=True,
                extra_compile_args=["-O3"],
            )
            for source in SOURCES
        ],
        build_dir="build",
    )
)
