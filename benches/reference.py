"""What the comparisons with vLLM's multi-turn benchmark share. No code of vLLM is kept here: the
path of a checkout (or of an unpacked source distribution) is an argument."""

import importlib.util
import math
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

REPO = Path(__file__).resolve().parent.parent

# The one thing that the script takes from the vllm package: arguments fit for a log.
STAND_IN = '''"""Stand-in for the vllm package, which is not installed."""
import argparse


def redact_sensitive_namespace(args, fields):
    shown = {key: "***" if key in fields and value else value for key, value in vars(args).items()}
    return argparse.Namespace(**shown)
'''


@dataclass
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def multi_turn_folder(checkout: Path) -> Path:
    """The folder of the reference's programs in a checkout."""
    for folder in (checkout / "benchmarks/multi_turn", checkout):
        if (folder / "benchmark_serving_multi_turn.py").is_file():
            return folder.resolve()
    sys.exit(f"no benchmarks/multi_turn/benchmark_serving_multi_turn.py in '{checkout}'")


def reference_environment(work: Path) -> dict[str, str]:
    """Environment for the reference's programs, with a stand-in if vllm isn't installed."""
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", COLUMNS="200")
    if importlib.util.find_spec("vllm") is None:
        folder = work / "stand_in/vllm/benchmarks/lib"
        folder.mkdir(parents=True, exist_ok=True)
        for package in (folder, folder.parent, folder.parent.parent):
            (package / "__init__.py").touch()
        (folder / "utils.py").write_text(STAND_IN)
        paths = [str(work / "stand_in"), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def run(command: list, out: Path, **options) -> Cost:
    """Runs a command to its end. Its standard output goes to `out`, its standard error beside it."""
    errors = out.with_suffix(out.suffix + ".stderr")
    with out.open("wb") as stdout, errors.open("wb") as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command], stdout=stdout, stderr=stderr, **options
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        tail = errors.read_text(errors="replace")[-3000:]
        sys.exit(f"{' '.join(map(str, command))}\nexit code {child.returncode}\n{tail}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def versions(turnbench: Path) -> str:
    """One line on what is compared, and where."""
    from importlib.metadata import version

    packages = ("numpy", "pandas", "transformers", "tokenizers", "aiohttp")
    parts = [f"{name} {version(name)}" for name in packages if importlib.util.find_spec(name)]
    own = subprocess.run([turnbench, "--version"], capture_output=True, text=True, check=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return f"{own.stdout.strip()}; Python {platform.python_version()}, {', '.join(parts)}; {machine}"


def spread(values: list[float], digits: int = 2) -> str:
    """Median with the least and the most; values that are not known are left out."""
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "-"
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(head: list[str], rows: list[list]) -> str:
    """A Markdown table with aligned columns."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)
