"""Running the code of a page in a kernel of its own. The outputs are cached until the code or a file that it used
changes, so that editing prose runs nothing again.

Not jupyter-cache: it keeps outputs while the cells stay the same, even if the code of dino that they call has changed.
"""

import base64
import io
import json
import logging
import os
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from textwrap import indent
from typing import Any

import nbformat
from nbformat import NotebookNode

from scripts.site.cache import cached
from scripts.site.paths import ROOT, SiteError

log = logging.getLogger("mkdocs.hooks.site")

LIBRARIES = ("torch", "numpy", "matplotlib", "pillow")
AT_ONCE = 2  # pages that run at the same time
# Runs before the page's own cells. Figures become PNGs, as `figures.install` says, and opened files are recorded. The
# pages share the processor, because threads that wait for each other across kernels take several times as long.
BEFORE = f"""
def _prepare():
    import os, sys
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // {AT_ONCE})))
    import matplotlib_inline.backend_inline  # sets its own formats now, and not later
    from scripts.site.figures import install
    install()
    opened = set()
    sys.addaudithook(lambda event, args: opened.add(args[0]) if event == "open" and isinstance(args[0], str) else None)
    return opened
_opened = _prepare()
"""
AFTER = """
def _files():
    import json, os, sys
    modules = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    print(json.dumps(sorted(os.path.abspath(name) for name in _opened | modules if name)))
_files()
"""
NO_DEPENDENCIES = {".venv", ".git", ".cache", "__pycache__", "runs", "site"}  # folders


def run(page: str, notebook: NotebookNode) -> list[list[dict[str, Any]]]:
    """Return the outputs of each code cell of a page: {"text": ...} or {"image": ..., "width": ..., "height": ...}.

    An image may have "variants": see `figures.variants`.

    Raises:
        SiteError: if a cell raises, or has an output that the site can't show.
    """
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    inputs = [cells, BEFORE, AFTER, python_version(), *(version(name) for name in LIBRARIES)]

    def compute() -> tuple[list[list[dict[str, Any]]], list[Path]]:
        log.info("%s: running its %s cells", page, len(cells))
        done = _run_cells(page, [BEFORE, *cells, AFTER])
        opened = [Path(name) for name in json.loads(done[-1].outputs[0].text)]
        outputs = [_outputs(f"{page}, cell {n}", cell) for n, cell in enumerate(done[1:-1], 1)]
        data = (ROOT / "dino" / "data").iterdir()
        # Libraries that aren't written in Python open files without an audit event.
        unrecorded = [path for path in data if path.suffix in (".parquet", ".safetensors")]
        return outputs, [path for path in opened if _is_a_dependency(path)] + unrecorded

    outputs: list[list[dict[str, Any]]] = cached(f"cells-{Path(page).stem}", inputs, compute)
    return outputs


def _is_a_dependency(path: Path) -> bool:
    return path.is_relative_to(ROOT) and path.is_file() and not set(path.relative_to(ROOT).parts) & NO_DEPENDENCIES


def _run_cells(page: str, sources: list[str]) -> list[NotebookNode]:
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    try:
        cells: list[NotebookNode] = execute(notebook, ROOT).cells
    except CellExecutionError as error:
        failed = next(n for n, cell in enumerate(notebook.cells) if _error(cell))
        where = f"{page}, cell {failed}"
        code = indent(sources[failed], "    ")
        raise SiteError(
            f"{where}: {error.ename}: {error.evalue}\n\n{code}\n\n{_failed_line(notebook.cells[failed])}"
        ) from None
    except Exception as error:  # the kernel died, or ran out of time
        running = max(0, sum("execution" in cell.metadata for cell in notebook.cells) - 1)
        message = str(error).strip().splitlines() or [""]
        raise SiteError(
            f"{page}, cell {running}: {type(error).__name__}: {message[0]}\n\n{indent(sources[running], '    ')}"
        ) from None
    return cells


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run a notebook from top to bottom in a kernel of its own that works in this folder, and fill in its outputs."""
    from nbconvert.preprocessors import ExecutePreprocessor
    from traitlets.config import Config

    quiet = ["--IPKernelApp.log_level=CRITICAL"]
    with tempfile.TemporaryDirectory(prefix="dino-") as own:
        # Kernels that start at the same time may choose the same TCP port, so each has sockets in a folder of its own.
        # Windows has no such sockets.
        sockets = {"transport": "ipc", "ip": f"{own}/kernel"} if os.name != "nt" else {}
        config = Config(KernelManager=sockets)
        runner = ExecutePreprocessor(timeout=600, kernel_name="python3", extra_arguments=quiet, config=config)
        done, _ = runner.preprocess(notebook, {"metadata": {"path": str(folder)}})
    executed: NotebookNode = done
    return executed


def _error(cell: NotebookNode) -> NotebookNode | None:
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def _failed_line(cell: NotebookNode) -> str:
    """Return the line of the cell that raised, from Python's traceback."""
    error = _error(cell)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)) if error else ""
    return next((line for line in text.splitlines() if line.startswith("---->")), "")


def _outputs(where: str, cell: NotebookNode) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                log.info("%s printed to stderr: %s", where, output.text.strip())
            elif outputs and "text" in outputs[-1]:
                outputs[-1]["text"] += output.text
            else:
                outputs.append({"text": output.text})
        elif "image/png" in output.data:
            extra = output.metadata.get("image/png", {}).get("variants", {})
            others = {name: webp(each["png"]) for name, each in extra.items()}
            outputs.append(webp(output.data["image/png"]) | ({"variants": others} if others else {}))
        elif "text/plain" in output.data and not output.data["text/plain"].startswith("<IPython.core.display."):
            outputs.append({"text": output.data["text/plain"]})
        else:
            raise SiteError(f"{where}: it shows {', '.join(output.data)}, and the site shows only text and figures")
    return outputs


def webp(png: str) -> dict[str, Any]:
    """Convert a figure to lossless WebP, which is half the size of PNG, and return it with the size to show it at."""
    from PIL import Image

    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        image.save(file, "WEBP", lossless=True, quality=75, method=4)  # more would take four times as long
        width, height = image.size
    return {"image": base64.b64encode(file.getvalue()).decode(), "width": width // 2, "height": height // 2}
