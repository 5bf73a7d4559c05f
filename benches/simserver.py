"""How much one core carries in `turnbench serve`, and whether what `turnbench run` reports is what
the server's --truth says. Server and client get a core each (Linux only); needs Python 3.9, no
packages. docs/serve.md shows the figures."""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
WORDS = "the king of the land spoke to his people " * 6


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turnbench", type=lambda text: Path(text).resolve(), default=REPO / "target/release/turnbench")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 100, 1000, 2000])
    parser.add_argument("--tokens", type=int, default=100, help="answer tokens of each request")
    parser.add_argument("--decode-ms", type=float, default=50, help="time between tokens")
    parser.add_argument("--requests", type=int, default=20, help="fewest requests of a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    return parser.parse_args()


def quantile(values: list, share: float) -> float:
    values = sorted(values)
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def cpu_seconds(pid: int) -> tuple:
    """Processor time of a process so far: in itself, and in the kernel on its behalf."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def pinned(core: int):
    return lambda: os.sched_setaffinity(0, {core})


def start_server(args: argparse.Namespace, folder: Path) -> tuple:
    server = subprocess.Popen(
        [args.turnbench, "serve", "--port", "0", "--served-model-name", "sim",
         "--max-num-seqs", "8192", "--max-num-batched-tokens", "65536", "--kv-blocks", "400000",
         "--decode-ms", str(args.decode_ms), "--decode-ms-per-seq", "0",
         "--prefill-tokens-per-sec", "1000000", "--truth", folder / "truth.jsonl"],
        stderr=subprocess.PIPE, text=True, preexec_fn=pinned(args.server_core))
    for line in server.stderr:
        if "http://" in line:
            return server, line.split("http://", 1)[1].split(";")[0].strip()
    raise SystemExit("the server did not start")


def measure(args: argparse.Namespace, streams: int, folder: Path) -> dict:
    requests = max(streams, args.requests)
    conversations = [
        {"id": f"c{index}", "messages": [
            {"role": "user", "content": f"conversation {index}: {WORDS}"},
            {"role": "assistant", "content": ""}]}
        for index in range(requests)
    ]
    (folder / "input.json").write_text(json.dumps(conversations))
    server, address = start_server(args, folder)
    before = cpu_seconds(server.pid)
    tokens = str(args.tokens)
    run = subprocess.run(
        [args.turnbench, "run", "-i", folder / "input.json", "--model", "sim", "--tokenizer",
         "none", "-u", f"http://{address}", "-p", str(streams), "--limit-min-tokens", tokens,
         "--limit-max-tokens", tokens, "--send-conversation-id", "--run-dir", folder / "run"],
        capture_output=True, text=True, preexec_fn=pinned(args.client_core))
    after = cpu_seconds(server.pid)
    server.terminate()
    server.wait()
    if run.returncode != 0:
        raise SystemExit(run.stderr)
    events = requests * args.tokens
    user, kernel = ((b - a) * 1e6 / events for a, b in zip(before, after))
    return {"user_us": user, "kernel_us": kernel, **compare(folder, requests)}


def compare(folder: Path, requests: int) -> dict:
    """The client's records beside the server's truth; all in milliseconds."""
    truths = {}
    for line in (folder / "truth.jsonl").read_text().splitlines():
        truth = json.loads(line)
        truths[truth["x_session_id"]] = truth
    epoch = json.loads((folder / "run/environment.json").read_text())["started_unix_ns"]
    seen = {"kernel": 0, "user": 0}
    columns = {name: [] for name in ("late", "sent", "token", "read", "ttft", "ttft_own", "last")}
    for line in (folder / "run/records.jsonl").read_text().splitlines():
        record = json.loads(line)
        truth, stamps = truths[record["conversation_id"]], record["stamps"]
        first, last = stamps["first_token"], stamps["last_token"]
        seen[first["source"]] += 1
        written, arrived = truth["first_token_unix_ns"], truth["arrival_unix_ns"]
        for name, nanos in {
            "late": written - truth["first_token_due_unix_ns"],
            "sent": arrived - (stamps["sent_ns"] + epoch),
            "token": first["at_ns"] + epoch - written,
            "read": first["read_ns"] + epoch - written,
            "ttft": first["at_ns"] - stamps["sent_ns"] - (written - arrived),
            "ttft_own": first["read_ns"] - stamps["sent_ns"] - (written - arrived),
            "last": last["at_ns"] + epoch - truth["last_token_unix_ns"],
        }.items():
            columns[name].append(nanos / 1e6)
    if len(columns["ttft"]) != requests:
        raise SystemExit(f"{requests} requests, {len(columns['ttft'])} records")
    return {**columns, "kernel_stamps": seen["kernel"] / requests}


def median_run(runs: list) -> dict:
    """The distributions of all runs together, and the median of each single figure."""
    whole = {}
    for name, value in runs[0].items():
        if isinstance(value, list):
            whole[name] = [item for run in runs for item in run[name]]
        else:
            whole[name] = quantile([run[name] for run in runs], 0.5)
    return whole


def table(head: list, rows: list) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    args = arguments()
    results = {}
    for streams in args.streams:
        runs = []
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measure(args, streams, Path(folder)))
        results[streams] = median_run(runs)
    print(f"{args.tokens} tokens a request, {args.decode_ms} ms apart, {args.runs} runs; load "
          f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    rows = []
    for streams, result in results.items():
        total = result["user_us"] + result["kernel_us"]
        share = streams * 1000 / args.decode_ms * total / 1e6
        rows.append([f"{streams}", f"{total:.1f}", f"{result['user_us']:.1f}", f"{share:.0%}",
                     f"{1e6 / total:,.0f}"])
    print(table(["streams", "CPU µs per token", "of it outside the kernel", "core in use",
                 "tokens/s a core carries"], rows))
    rows = []
    for streams, result in results.items():
        for name, what in [
            ("late", "server: written − due"),
            ("sent", "request: arrived − `sent`"),
            ("token", "first token: kernel stamp − written"),
            ("read", "first token: read − written"),
            ("ttft", "TTFT − true TTFT"),
            ("ttft_own", "the same with read times"),
            ("last", "last token: stamp − written"),
        ]:
            values = result[name]
            shares = (0.0, 0.5, 0.9, 0.99, 1.0)
            rows.append([f"{streams}", what,
                         *(f"{quantile(values, share):.3f}" for share in shares)])
    print()
    print(table(["streams", "ms", "min", "p50", "p90", "p99", "max"], rows))
    stamped = ", ".join(f"{streams}: {result['kernel_stamps']:.1%}"
                        for streams, result in results.items())
    print(f"\nfirst tokens stamped by the kernel, by streams: {stamped}")


if __name__ == "__main__":
    main()
