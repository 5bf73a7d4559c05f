"""Compares `turnbench convert sharegpt --compat vllm` with the converter in vLLM's multi-turn
benchmark: are the bytes and the tables the same, and what does each take? See README.md beside this
file."""

import argparse
import hashlib
import json
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

from reference import REPO, multi_turn_folder, reference_environment, run, spread, table, versions

CONVERTER = "convert_sharegpt_to_openai.py"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vllm", type=Path, help="checkout or unpacked source distribution of vLLM")
    parser.add_argument("--text", type=Path, default=REPO / "examples/persuasion.txt")
    parser.add_argument("--dump", type=Path, help="a dump to convert instead of a made one")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--max-items", type=int, help="convert a sample of so many")
    parser.add_argument("--runs", type=int, default=5, help="measured rounds; one more goes before")
    parser.add_argument("--turnbench", type=Path, default=REPO / "target/release/turnbench")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(args: argparse.Namespace) -> None:
    """Writes a dump of the shape that ShareGPT's has: questions of some hundred characters, answers
    of one or two thousand with lists, quotes and code, conversations in parts that stand anywhere.
    In two of three conversations every message has a character outside ASCII, for the reference
    drops all others; some parts begin with an answer. Their numbers are those of their first
    messages, as in ShareGPT's."""
    draw = random.Random(20230401)
    text = args.text.read_text()
    items, size, number = [], 0, 0
    while size < args.megabytes * 1e6:
        number += 1
        mark = draw.choice((" – ", " é ", " 日本語 ")) if draw.random() < 2 / 3 else ""
        key = f"{number:07x}"
        first = 0
        for _ in range(draw.choice((1, 1, 1, 2, 2, 3))):
            entries = []
            if first and draw.random() < 0.2:
                entries.append({"from": "gpt", "value": passage(draw, text, 1500) + mark})
            for _ in range(draw.randint(1, 5)):
                entries.append({"from": "human", "value": passage(draw, text, 300) + mark})
                entries.append({"from": "gpt", "value": passage(draw, text, 1800) + mark})
            items.append({"id": f"{key}_{first}", "conversations": entries})
            first += len(entries)
            size += sum(len(entry["value"].encode()) + 70 for entry in entries)
    draw.shuffle(items)
    with args.prepare.open("w", encoding="utf-8") as file:
        json.dump(items, file, ensure_ascii=False, indent=2)
    count = sum(len(item["conversations"]) for item in items)
    print(f"{args.prepare.stat().st_size / 1e6:.1f} MB: {len(items)} items of {number} "
          f"conversations, {count} messages")


def passage(draw: random.Random, text: str, mean: int) -> str:
    length = min(int(draw.lognormvariate(0, 0.6) * mean * 0.84), 12 * mean)
    start = draw.randrange(len(text) - 12 * mean)
    found = text[start:start + length]
    if mean > 1000 and draw.random() < 0.3:
        code = '\n```python\nprint("a\\tb")\nreturn {"x": [1, 2]}\n```\n'
        found = found[: length // 2] + code + found[length // 2:]
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    args = arguments()
    if args.prepare:
        return prepare(args)
    environment = reference_environment(Path(tempfile.mkdtemp()))
    print(versions(args.turnbench))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        dump = args.dump or work / "dump.json"
        if not args.dump:
            # In a process of its own: one that starts from a big process counts its memory too.
            run([sys.executable, __file__, args.vllm, "--text", args.text, "--megabytes",
                 args.megabytes, "--prepare", dump], work / "prepared.txt")
            print((work / "prepared.txt").read_text().strip())
        flags = [f"--seed={args.seed}"]
        flags += [] if args.max_items is None else [f"--max-items={args.max_items}"]
        # Both write OUT, so that what they print is the same.
        commands = {
            "reference": [sys.executable, multi_turn_folder(args.vllm) / CONVERTER, dump, "OUT"],
            "compat": [args.turnbench, "convert", "sharegpt", dump, "OUT", "--compat", "vllm"],
            "own": [args.turnbench, "convert", "sharegpt", dump, "OUT"],
        }
        costs = {name: [] for name in commands}
        for name in list(commands) * (args.runs + 1):
            (work / name).mkdir(exist_ok=True)
            cost = run(commands[name] + flags, work / name / "stdout", cwd=work / name,
                       env=environment)
            costs[name].append(cost)
        same = digest(work / "reference/OUT") == digest(work / "compat/OUT")
        same_text = (work / "reference/stdout").read_text() == (work / "compat/stdout").read_text()
        size = (work / "compat/OUT").stat().st_size
        own_size = (work / "own/OUT").stat().st_size
    print(f"{size / 1e6:.1f} MB written, {'the same' if same else 'NOT THE SAME'}; standard output "
          f"{'the same' if same_text else 'NOT THE SAME'}; {own_size / 1e6:.1f} MB without --compat\n")
    # The first round fills the file caches.
    theirs, compat, own = (found[1:] for found in costs.values())
    rows = [row(name, *([getattr(cost, key) for cost in found] for found in (theirs, compat, own)))
            for name, key in (("wall, s", "wall_s"), ("CPU, s", "cpu_s"),
                              ("peak memory, MiB", "peak_mib"))]
    print(table(["", "reference", "--compat vllm", "ratio", "without --compat"], rows))
    print(f"\nmedians of {len(own)} rounds (least to most)")
    sys.exit(0 if same and same_text else 1)


def row(name: str, theirs: list[float], ours: list[float], own: list[float]) -> list[str]:
    ratio = f"{median(theirs) / median(ours):.1f}"
    return [name, spread(theirs), spread(ours, 3), ratio, spread(own, 3)]


if __name__ == "__main__":
    main()
