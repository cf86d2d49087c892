"""Memory and processor time that the records of a large run take.

    python benchmarks/large_runs.py [--num 200000]

The objects of a small run (Triangle, method `misure`) are repeated under other keys, in the files
of four writers and out of order. Each command runs in a process of its own; importing torch is part
of every line but the first. The last line is the part of a run before its first sample.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import misure
from misure.runs.plan import RunPlan
from misure.runs.run import run

NUM_WRITERS = 4
OBJECTS_A_SAMPLE = 4
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
"""
BEGIN = """
import sys
from misure.runs.folder import RunFolder
from misure.runs.left_to_do import left_to_do
keys = {i: f"images/{i:07}.png" for i in range(int(sys.argv[2]))}
print(len(left_to_do(RunFolder(sys.argv[1]), (), keys).samples))
"""


def main() -> None:
    """Makes the run and measures every command on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=200_000)
    num = parser.parse_args().num
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_bytes = write_large_run(folder / "run", num)
        print(f"{num:,} records, {num_bytes / 1e6:.0f} MB\n")
        misure_command, large = [sys.executable, "-m", "misure"], str(folder / "run")
        commands = {
            "--help": [*misure_command, "--help"],
            "merge": [*misure_command, "merge", large, "--out", f"{folder}/all.jsonl"],
            "export --csv": [*misure_command, "export", large, "--csv", f"{folder}/all.csv"],
            "export --parquet": [*misure_command, "export", large, "--parquet", f"{folder}/a.pq"],
            "what is left to do": [
                sys.executable,
                "-c",
                BEGIN,
                large,
                str(num // OBJECTS_A_SAMPLE),
            ],
        }
        print("| | peak memory, MB | processor time, s | time, s |\n|---|---|---|---|")
        for command, arguments in commands.items():
            print(f"| `{command}` | {' | '.join(measured(arguments))} |", flush=True)


def write_large_run(out: Path, num: int) -> int:
    """Writes a run folder with N records; gives the size of its records in bytes."""
    with tempfile.TemporaryDirectory() as small:
        plan = RunPlan(instances=True, method_options={"max_passes": 40})
        run("triangle:2", misure.load_model("triangle"), small, plan)
        out.mkdir()
        (out / "run.json").write_bytes((Path(small) / "run.json").read_bytes())
        (file,) = Path(small).glob("records-*")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
    done = [line for line in lines if line["status"] == "done"]
    finished = next(line for line in lines if line["status"] == "finished")
    samples = list(range(num // OBJECTS_A_SAMPLE))
    random.Random(0).shuffle(samples)  # noqa: S311
    for writer in range(NUM_WRITERS):
        with (out / f"records-{writer}.jsonl").open("w") as records:
            for number in samples[writer::NUM_WRITERS]:
                sample = f"images/{number:07}.png"
                for i in range(OBJECTS_A_SAMPLE):
                    line = done[(number + i) % len(done)]
                    records.write(json.dumps(line | {"key": f"{sample}#1.{i}", "sample": sample}))
                    records.write("\n")
                line = finished | {"sample": sample, "num_objects": OBJECTS_A_SAMPLE}
                records.write(json.dumps(line) + "\n")
    return sum(path.stat().st_size for path in out.glob("records-*"))


def measured(arguments: list[str]) -> list[str]:
    """Peak memory, processor time and time of a command."""
    # A process that is started by a large one counts that one's memory as its own.
    start, small = time.perf_counter(), [sys.executable, "-c", LAUNCHER, *arguments]
    done = subprocess.run(small, check=True, capture_output=True, text=True)  # noqa: S603
    peak_kb, busy_s = done.stdout.split()
    seconds = time.perf_counter() - start
    return [f"{int(peak_kb) / 1000:.0f}", f"{float(busy_s):.1f}", f"{seconds:.1f}"]


if __name__ == "__main__":
    main()
