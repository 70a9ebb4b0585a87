"""Compiles the C++ server, if gRPC's C++ library and its compiler plug-in are installed."""

import shutil
import subprocess
from pathlib import Path

__all__ = ["NEEDS", "build"]

#: What Debian calls the packages that it takes.
NEEDS = "g++, libgrpc++-dev, libprotobuf-dev, protobuf-compiler, protobuf-compiler-grpc, pkg-config"

_HERE = Path(__file__).resolve().parent
#: Where imports of `gnomon/proto/inference.proto` begin.
_PROTO_ROOT = _HERE.parents[1] / "src"
_PROTO = "gnomon/proto/inference.proto"
_TOOLS = ("g++", "protoc", "grpc_cpp_plugin", "pkg-config")


def build(folder: Path) -> Path | None:
    """Compile the server into a folder and return it; None if something for it is missing.

    Raises:
        subprocess.CalledProcessError: the compiler refuses it.
    """
    if not all(shutil.which(tool) for tool in _TOOLS):
        return None
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "grpc++", "protobuf"], capture_output=True, text=True
    )
    if found.returncode:
        return None
    subprocess.run(
        [
            *("protoc", f"-I{_PROTO_ROOT}", f"--cpp_out={folder}", f"--grpc_out={folder}"),
            f"--plugin=protoc-gen-grpc={shutil.which('grpc_cpp_plugin')}",
            _PROTO,
        ],
        check=True,
    )
    stem = folder / _PROTO.removesuffix(".proto")
    program = folder / "cpp_server"
    sources = (str(_HERE / "cpp_server.cc"), f"{stem}.pb.cc", f"{stem}.grpc.pb.cc")
    subprocess.run(
        ["g++", "-O2", f"-I{folder}", "-o", str(program), *sources, *found.stdout.split(), "-ldl"],
        check=True,
    )
    return program
