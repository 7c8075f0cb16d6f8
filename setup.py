"""The kernels of formats/kernel, compiled where there is a C compiler and left out where there is none.

All else that there is to say of the package is in setup.cfg.
"""

import os
import shlex
import shutil
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILER = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
SOURCES = sorted(Path("formats/kernel").glob("*.pyx")) if shutil.which(COMPILER) else []

setup(
    ext_modules=cythonize(
        [
            Extension(
                ".".join(source.with_suffix("").parts),
                [str(source)],
                optional=True,
                extra_compile_args=["-O3", "-g0"],
            )
            for source in SOURCES
        ],
        build_dir="build",
        nthreads=os.cpu_count() or 1,
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
