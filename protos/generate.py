"""Makes the Python stubs beside the .proto files, with the grpcio-tools of this environment.

The stubs are never committed: each environment's own protobuf makes them, so
that the process with Gemini (protobuf 5) and all others (current protobuf) run
from one source. Where mypy-protobuf is installed, typed stubs come with them.
"""

import shutil
import sys
import sysconfig
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent


def _plugins_for_types() -> list[str]:
    scripts = sysconfig.get_path("scripts")
    arguments: list[str] = []
    for kind in ("mypy", "mypy_grpc"):
        plugin = shutil.which(f"protoc-gen-{kind}", path=scripts)
        if plugin is None:
            return []
        arguments += [f"--plugin=protoc-gen-{kind}={plugin}", f"--{kind}_out=quiet:{PROTOS}"]
    return arguments


def main() -> int:
    """Generate every stub; return protoc's exit code."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("vitrina/**/*.proto"))
    exit_code: int = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"-I{resources.files('grpc_tools') / '_proto'}",
            f"-I{sysconfig.get_path('purelib')}",  # google/api/annotations.proto
            f"--python_out={PROTOS}",
            f"--grpc_python_out={PROTOS}",
            *_plugins_for_types(),
            *sources,
        ]
    )
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
