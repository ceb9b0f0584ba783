"""The native engine's library, built with the package. Everything else is in pyproject.toml.

It is plain C++ called through ctypes, so one file serves every Python: its name and the wheel's tag name none. Without
a compiler, or where compiling fails, the install goes on without it, and `recurra doctor` says so.
"""

import os
import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = "src/recurra/engines/native/cpp/"
UNITS = {  # file → what it may use of the processor; chosen among when the library runs
    "interface.cpp": [],
    "threads.cpp": [],
    "portable.cpp": [],
    "avx2.cpp": ["-mavx2", "-mfma"],
    "avx512.cpp": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mprefer-vector-width=512"],
}
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wno-psabi"]
FLAGS += (
    [] if "-fsanitize" in os.environ.get("CFLAGS", "") else ["-g0"]
)  # what `make sanitize` finds, it finds in a line
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


class BuildLibrary(build_ext):
    """A shared library in place of a Python extension."""

    def get_ext_filename(self, fullname):
        return str(Path(*fullname.split("."))) + ".library.so"  # with two dots nobody takes it for a module

    def build_extension(self, ext):
        path = Path(self.get_ext_fullpath(ext.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = []
        for source in ext.sources:
            flags = FLAGS + (UNITS[Path(source).name] if IS_X86 else [])
            objects += self.compiler.compile(
                [source], output_dir=self.build_temp, extra_postargs=flags, depends=ext.depends
            )
        self.compiler.link_shared_object(objects, str(path), target_lang="c++", extra_postargs=["-pthread"])


class AnyPython(bdist_wheel):
    """The library is for one platform and for every Python: py3-none-PLATFORM."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


setup(
    ext_modules=[
        Extension(
            "recurra.engines.native._recurra_native",
            sources=[HERE + unit for unit in UNITS],
            depends=[f"{HERE}{path.name}" for path in sorted(Path(HERE).glob("*.hpp"))],
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": AnyPython},
)
