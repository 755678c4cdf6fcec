"""Running the code of a page in a kernel of its own, once: what came of it is kept until the code changes, or a file
that it used. So writing prose re-runs nothing.
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

from scripts.site.places import ROOT, SiteError, remembered

log = logging.getLogger("mkdocs.hooks.site")

LIBRARIES = ("torch", "numpy", "matplotlib", "pillow")
AT_ONCE = 2  # pages that run at the same time
# Goes before the page's own cells: figures as PNG with two pixels for each one shown, and a list of the files opened.
# The pages share the processor: threads that wait for each other across kernels take several times as long.
BEFORE = f"""
def _prepare():
    import os, sys
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // {AT_ONCE})))
    from matplotlib_inline.backend_inline import set_matplotlib_formats
    set_matplotlib_formats("retina")
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
NOT_DEPENDED_ON = (".venv", ".git", ".cache", "__pycache__", "runs", "site")


def run(page: str, notebook: NotebookNode) -> list[list[dict[str, Any]]]:
    """The outputs of a page's code cells: for each a list of {"text": ...} and {"picture", "width", "height"}.

    Raises:
        SiteError: a cell raised, or shows something that the site can't.
    """
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    question = [cells, BEFORE, AFTER, python_version(), *(version(name) for name in LIBRARIES)]

    def make() -> tuple[list[list[dict[str, Any]]], list[Path]]:
        log.info("%s: running its %s cells", page, len(cells))
        done = _execute(page, [BEFORE, *cells, AFTER])
        opened = [Path(name) for name in json.loads(done[-1].outputs[0].text)]
        outputs = [_outputs(f"{page}, cell {n}", cell) for n, cell in enumerate(done[1:-1], 1)]
        data = (ROOT / "dino" / "data").iterdir()
        # What the libraries of other languages open leaves no trace in Python.
        traceless = [path for path in data if path.suffix in (".parquet", ".safetensors")]
        return outputs, [path for path in opened if _is_ours(path)] + traceless

    answer: list[list[dict[str, Any]]] = remembered(f"cells-{Path(page).stem}", question, make)
    return answer


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(ROOT) and path.is_file() and not set(path.relative_to(ROOT).parts) & set(NOT_DEPENDED_ON)


def _execute(page: str, sources: list[str]) -> list[NotebookNode]:
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    try:
        done = executed(notebook, ROOT)
    except CellExecutionError as error:
        failed = next(n for n, cell in enumerate(notebook.cells) if _error(cell))
        where = f"{page}, cell {failed}"
        code = indent(sources[failed], "    ")
        raise SiteError(
            f"{where}: {error.ename}: {error.evalue}\n\n{code}\n\n{_line(notebook.cells[failed])}"
        ) from None
    except Exception as error:  # the kernel died, or thinks for ever
        begun = max(0, sum("execution" in cell.metadata for cell in notebook.cells) - 1)
        what = str(error).strip().splitlines() or [""]
        raise SiteError(
            f"{page}, cell {begun}: {type(error).__name__}: {what[0]}\n\n{indent(sources[begun], '    ')}"
        ) from None
    cells: list[NotebookNode] = done.cells
    return cells


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook, run from top to bottom in a kernel of its own that works in this folder."""
    from nbconvert.preprocessors import ExecutePreprocessor
    from traitlets.config import Config

    quiet = ["--IPKernelApp.log_level=CRITICAL"]
    with tempfile.TemporaryDirectory(prefix="dino-") as own:
        # Kernels that start at once may choose the same TCP port. Sockets are files of its own; Windows has none.
        sockets = {"transport": "ipc", "ip": f"{own}/kernel"} if os.name != "nt" else {}
        config = Config(KernelManager=sockets)
        runner = ExecutePreprocessor(timeout=600, kernel_name="python3", extra_arguments=quiet, config=config)
        done, _ = runner.preprocess(notebook, {"metadata": {"path": str(folder)}})
    return done


def _error(cell: NotebookNode) -> NotebookNode | None:
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def _line(cell: NotebookNode) -> str:
    """Where in the cell it happened, as Python says it."""
    error = _error(cell)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)) if error else ""
    return next((line for line in text.splitlines() if line.startswith("---->")), "")


def _outputs(where: str, cell: NotebookNode) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                log.info("%s says: %s", where, output.text.strip())
            elif found and "text" in found[-1]:
                found[-1]["text"] += output.text
            else:
                found.append({"text": output.text})
        elif "image/png" in output.data:
            found.append(_picture(output.data["image/png"]))
        elif "text/plain" in output.data and not output.data["text/plain"].startswith("<IPython.core.display."):
            found.append({"text": output.data["text/plain"]})
        else:
            raise SiteError(f"{where}: it shows {', '.join(output.data)}, and the site shows only text and figures")
    return found


def _picture(png: str) -> dict[str, Any]:
    """A figure as lossless WebP, which is half the size of PNG, and how large it is to be shown."""
    from PIL import Image

    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        image.save(file, "WEBP", lossless=True, quality=100, method=5)
        width, height = image.size
    return {"picture": base64.b64encode(file.getvalue()).decode(), "width": width // 2, "height": height // 2}
