"""Build the network for the web: dino/web/engine.c becomes dino/web/engine.wasm.

    uv run --group engine python -m scripts.build_engine            # writes the module, and what made it
    uv run --group engine python -m scripts.build_engine --check    # compares it with the committed one

The compiler is zig's, from the package ziglang. The same version writes the same bytes on any machine.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from dino.common.errors import DinoError

WEB = Path(__file__).parents[1] / "dino" / "web"
SOURCE, MODULE, RECORD = WEB / "engine.c", WEB / "engine.wasm", WEB / "engine.json"
FLAGS = (
    "--target=wasm32-freestanding", "-std=c11", "-O3", "-msimd128", "-nostdlib", "-Wall", "-Wextra", "-Werror",
    "-Wl,--no-entry", "-Wl,--strip-all",
)  # fmt: skip


def compiler() -> str | None:
    """Return the version of the installed zig, or None."""
    command = [sys.executable, "-m", "ziglang", "version"]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def build() -> bytes:
    """Compile the source, and return the module.

    Raises:
        DinoError: if it doesn't compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / MODULE.name
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, "-o", str(module), SOURCE.name]
        result = subprocess.run(command, cwd=WEB, capture_output=True, encoding="utf-8", check=False)
        if result.returncode:
            raise DinoError(f"{SOURCE.name} doesn't compile: {result.stderr.strip()}")
        return module.read_bytes()


def source_fingerprint() -> str:
    """Return the SHA-256 of the source, which `engine.json` records."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def main(
    check: Annotated[bool, typer.Option("--check", help="Only compare with the committed module.")] = False,
) -> None:
    """Build dino/web/engine.wasm."""
    version = compiler()
    if version is None:
        raise SystemExit("ziglang isn't installed. Run this as: uv run --group engine python -m scripts.build_engine")
    module, made_by = build(), json.loads(RECORD.read_text(encoding="utf-8"))["zig"] if RECORD.is_file() else None
    if check:
        same = module == MODULE.read_bytes()
        typer.echo(f"zig {version} builds {'the same module' if same else 'another module'}; zig {made_by} built it")
        raise typer.Exit(0 if same or version != made_by else 1)
    MODULE.write_bytes(module)
    RECORD.write_text(json.dumps({"zig": version, "source": source_fingerprint()}, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"wrote {MODULE.name}, {len(module):,} bytes, with zig {version}")


if __name__ == "__main__":
    typer.run(main)
