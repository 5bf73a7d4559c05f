"""Runs vLLM's multi-turn benchmark client and `turnbench run`, with the same flags, against fresh
`turnbench serve` processes, and compares what they sent, counted and timed with what the server
knows. See README.md beside this file."""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from reference import (REPO, Cost, multi_turn_folder, reference_environment, run, spread, table,
                       versions)


@dataclass
class Result:
    """One run: the client's statistics, its table, and the server's own account."""

    rows: list[dict]
    shown: str
    truth: list[dict]
    cost: Cost


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vllm", type=Path, help="checkout or unpacked source distribution of vLLM")
    parser.add_argument("--tokenizer", type=Path, default=REPO / "testdata/tokenizer/bpe")
    parser.add_argument("--text", type=Path, default=REPO / "examples/persuasion.txt")
    parser.add_argument("--config", type=Path, default=REPO / "examples/generate_multi_turn.json")
    parser.add_argument("--runs", type=int, default=3, help="of each client in each case")
    parser.add_argument("--decode-ms", default="4", help="of the simulated server")
    parser.add_argument("--turnbench", type=Path, default=REPO / "target/release/turnbench")
    parser.add_argument("--show", action="store_true", help="print the tables of the first runs")
    return parser.parse_args()


@contextmanager
def server(args: argparse.Namespace, truth: Path):
    """A fresh simulated server on a free port; gives its URL."""
    command = [args.turnbench, "serve", "--port", "0", "--model", args.tokenizer,
               "--served-model-name", "Llama", "--decode-ms", args.decode_ms, "--truth", truth]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        line = child.stderr.readline()
        found = re.search(r"http://[\d.:]+\d", line)
        if not found:
            sys.exit(f"the server did not start: {line}{child.stderr.read()}")
        yield found[0]
    finally:
        child.terminate()
        child.wait()


def measure(args: argparse.Namespace, client: list, flags: list, work: Path, **options) -> Result:
    truth, stats, shown = work / "truth.jsonl", work / "stats.json", work / "shown.txt"
    with server(args, truth) as url:
        command = [*client, *flags, "--url", url, "--model", args.tokenizer,
                   "--served-model-name", "Llama", "--stats-json-output", stats]
        cost = run(command, shown, cwd=work, **options)
    entries = [json.loads(line) for line in truth.read_text().splitlines()]
    entries.sort(key=lambda entry: entry["arrival_unix_ns"])
    rows = sorted(json.loads(stats.read_text()), key=lambda row: row["start_time_ms"])
    return Result(rows, shown.read_text(), entries, cost)


def errors_ms(result: Result) -> list[float]:
    """How far each TTFT of the client is from the server's: from the arrival of the request to the
    first token's way into the kernel. Requests are matched by their order, so there is nothing to
    say about a run whose client lost some."""
    if len(result.rows) != len(result.truth):
        return [math.nan]
    return [row["ttft_ms"] - (entry["first_token_unix_ns"] - entry["arrival_unix_ns"]) / 1e6
            for row, entry in zip(result.rows, result.truth)]


def percentile(values: list[float], share: float) -> float:
    """Linear interpolation between the nearest ranks."""
    values = sorted(values)
    place = (len(values) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def column(rows: list[dict], name: str) -> list[float]:
    return [row[name] for row in rows]


FIGURES = [
    ("requests", lambda one: len(one.rows), 0),
    ("requests that the server saw", lambda one: len(one.truth), 0),
    ("conversations touched", lambda one: len(set(column(one.rows, "conversation_id"))), 0),
    ("input tokens", lambda one: sum(column(one.rows, "input_num_tokens")), 0),
    ("output tokens, client", lambda one: sum(column(one.rows, "output_num_tokens")), 0),
    ("output tokens, server", lambda one: sum(column(one.truth, "output_tokens")), 0),
    ("cached share of prompts, server",
     lambda one: sum(column(one.truth, "cached_tokens")) / sum(column(one.truth, "prompt_tokens")),
     3),
    ("TTFT mean, ms", lambda one: mean(column(one.rows, "ttft_ms")), 2),
    ("TTFT median, ms", lambda one: median(column(one.rows, "ttft_ms")), 2),
    ("TTFT p99, ms", lambda one: percentile(column(one.rows, "ttft_ms"), 0.99), 2),
    ("TPOT mean, ms", lambda one: mean(column(one.rows, "tpot_ms")), 3),
    ("latency mean, ms", lambda one: mean(column(one.rows, "latency_ms")), 1),
    ("TTFT less the server's, median, ms", lambda one: median(errors_ms(one)), 3),
    ("TTFT less the server's, p99, ms", lambda one: percentile(errors_ms(one), 0.99), 3),
    ("client's CPU, s", lambda one: one.cost.cpu_s, 2),
    ("whole process, s", lambda one: one.cost.wall_s, 1),
]


def sequence(rows: list[dict]) -> list[tuple]:
    return [(row["conversation_id"], row["input_num_turns"], row["input_num_tokens"])
            for row in rows]


def compare(name: str, flags: list, clients: dict, args: argparse.Namespace, work: Path) -> None:
    results: dict[str, list[Result]] = {client: [] for client in clients}
    for _ in range(args.runs):
        for client, (command, options) in clients.items():
            results[client].append(measure(args, command, flags, work, **options))
    print(f"\n### {name}\n\n`{' '.join(map(str, flags))}`\n".replace(f"{work}/", ""))
    rows = [[title, *(spread([figure(one) for one in results[client]], digits)
                      for client in clients)]
            for title, figure, digits in FIGURES]
    print(table(["", *clients], rows))
    theirs, compat = (results[client][0] for client in list(clients)[:2])
    same = sequence(theirs.rows) == sequence(compat.rows)
    print(f"\nconversations, turns and input tokens of the first runs, request by request: "
          f"{'the same' if same else 'not the same'}")
    if args.show:
        for client in clients:
            print(f"\n{client}:\n{results[client][0].shown}")


def main() -> None:
    args = arguments()
    for name in ("vllm", "tokenizer", "text", "config", "turnbench"):
        setattr(args, name, getattr(args, name).resolve())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        config = json.loads(args.config.read_text())
        config["text_files"] = [str(args.text)]
        (work / "generate_multi_turn.json").write_text(json.dumps(config))
        subprocess.run([args.turnbench, "generate", "-i", work / "generate_multi_turn.json",
                        "-m", args.tokenizer, "-o", work / "conversations.json"], check=True,
                       stderr=subprocess.DEVNULL)
        script = multi_turn_folder(args.vllm) / "benchmark_serving_multi_turn.py"
        own = [args.turnbench, "run", "--run-dir", "none"]
        clients = {
            "reference": ([sys.executable, script], {"env": reference_environment(work)}),
            "turnbench --compat vllm": ([*own, "--compat", "vllm"], {}),
            "turnbench": (own, {}),
        }
        print(versions(args.turnbench))
        generated = ["--input-file", work / "generate_multi_turn.json"]
        recorded = ["--input-file", work / "conversations.json"]
        compare("The flags of the reference's README",
                [*generated, "--num-clients", 2, "--max-active-conversations", 6],
                clients, args, work)
        compare("A list of conversations, one client",
                [*recorded, "-p", 1, "-k", 3, "-n", 60], clients, args, work)


if __name__ == "__main__":
    main()
