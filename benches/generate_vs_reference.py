"""Compares `turnbench generate` with the generator in vLLM's multi-turn benchmark: are the bytes
the same, and how long does each take? See README.md beside this file."""

import argparse
import hashlib
import json
import math
import os
import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from reference import REPO, multi_turn_folder, reference_environment, run, spread, table, versions


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vllm", type=Path, help="checkout or unpacked source distribution of vLLM")
    parser.add_argument("--tokenizer", type=Path, default=REPO / "testdata/tokenizer/bpe")
    parser.add_argument("--text", type=Path, default=REPO / "examples/persuasion.txt")
    parser.add_argument("--config", type=Path, default=REPO / "examples/generate_multi_turn.json")
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5, help="measured pairs; one more goes before")
    parser.add_argument("--turnbench", type=Path, default=REPO / "target/release/turnbench")
    parser.add_argument("--generate-speed", type=Path, metavar="EXAMPLE",
                        help="workload's example generate_speed, for the time of generation alone")
    parser.add_argument("--child", type=Path, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--prepare", type=Path, nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def child(args: argparse.Namespace) -> None:
    """One generation by the reference's own functions; prints the seconds of each step."""
    config, out, tokenizer = args.child
    sys.path.insert(0, str(multi_turn_folder(args.vllm)))
    # As the script sets it before it generates.
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    start = perf_counter()
    import bench_dataset
    import numpy
    from transformers import AutoTokenizer

    imported = perf_counter()
    loaded_tokenizer = AutoTokenizer.from_pretrained(str(tokenizer))
    loaded = perf_counter()
    parsed = bench_dataset.parse_input_json_file(json.loads(config.read_text()))
    numpy.random.seed(args.seed)
    conversations = bench_dataset.generate_conversations(parsed, loaded_tokenizer)
    generated = perf_counter()
    with out.open("w") as file:
        json.dump(bench_dataset.conversations_dict_to_list(conversations), file, indent=4)
    print(json.dumps({
        "import": imported - start,
        "load": loaded - imported,
        "generate": generated - loaded,
        "write": perf_counter() - generated,
    }))


def prepare(args: argparse.Namespace) -> None:
    """Writes the config, and one text that is long enough for all its conversations."""
    from transformers import AutoTokenizer

    config_path, text_path, tokenizer_path = args.prepare
    text = args.text.read_text()
    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_path))
    tokens = len(tokenizer.encode(text, add_special_tokens=False))
    # Per conversation the stock shape takes 1,000 tokens of prefix on average and one per turn.
    needed = (8_000 + 1_020 * args.conversations) / tokens
    text = (text * math.ceil(needed))[: math.ceil(needed * len(text))]
    text_path.write_text(text)
    config = json.loads(args.config.read_text())
    config["num_conversations"] = args.conversations
    config["text_files"] = [str(text_path)]
    config_path.write_text(json.dumps(config))
    print(f"{args.conversations} conversations; a text of {len(text) / 1e6:.1f} MB, "
          f"{needed * tokens:.0f} tokens ({needed:.2f} times the given one); "
          f"a vocabulary of {len(tokenizer)} tokens")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    args = arguments()
    if args.child:
        return child(args)
    if args.prepare:
        return prepare(args)
    environment = reference_environment(Path(tempfile.mkdtemp()))
    print(versions(args.turnbench))
    theirs, ours, steps, alone = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        config = work / "config.json"
        # In a process of its own: one that starts from a big process counts its memory too.
        run([sys.executable, __file__, args.vllm, "--text", args.text, "--config", args.config,
             "--conversations", args.conversations, "--prepare", config, work / "text.txt",
             args.tokenizer], work / "prepared.txt")
        print((work / "prepared.txt").read_text().strip())
        reference = [sys.executable, __file__, args.vllm, "--seed", args.seed,
                     "--child", config, work / "theirs.json", args.tokenizer]
        own = [args.turnbench, "generate", "-i", config, "-m", args.tokenizer,
               "--seed", args.seed, "-o", work / "ours.json"]
        for _ in range(args.runs + 1):
            theirs.append(run(reference, work / "steps.json", env=environment))
            steps.append(json.loads((work / "steps.json").read_text().splitlines()[-1]))
            ours.append(run(own, work / "own.txt"))
            if args.generate_speed:
                run([args.generate_speed, config, args.tokenizer], work / "speed.txt")
                found = re.search(r"generated +([\d.]+) ms", (work / "speed.txt").read_text())
                alone.append(float(found[1]) / 1e3)
        same = digest(work / "theirs.json") == digest(work / "ours.json")
        size = (work / "ours.json").stat().st_size
    print(f"{size} bytes, {'the same' if same else 'NOT THE SAME'}\n")
    # The first pair fills the file caches.
    theirs, ours, steps, alone = theirs[1:], ours[1:], steps[1:], alone[1:]
    rows = [row("whole process, s", [a.wall_s for a in theirs], [b.wall_s for b in ours]),
            row("whole process, CPU s", [a.cpu_s for a in theirs], [b.cpu_s for b in ours]),
            row("peak memory, MiB", [a.peak_mib for a in theirs], [b.peak_mib for b in ours])]
    if alone:
        rows.insert(1, row("generation alone, s", [step["generate"] for step in steps], alone))
    print(table(["", "reference", "turnbench", "ratio of medians"], rows))
    parts = ", ".join(f"{key} {median(step[key] for step in steps):.2f} s" for key in steps[0])
    print(f"\nmedians of {len(ours)} pairs (least to most); the reference's steps: {parts}")
    sys.exit(0 if same else 1)


def row(name: str, theirs: list[float], ours: list[float]) -> list[str]:
    return [name, spread(theirs), spread(ours, 3), f"{median(theirs) / median(ours):.1f}"]


if __name__ == "__main__":
    main()
