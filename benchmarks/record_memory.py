"""Memory and time to read N records of a run, as records and as dictionaries.

    python benchmarks/record_memory.py RUN [--num 20000] [--as records|dictionaries]

RUN is a run folder; its first object is repeated under N keys. Each way is measured in a process of
its own: the resident memory that the records hold once they are read, and the seconds it took.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from misure.runs.folder import RunFolder

WAYS = ("records", "dictionaries")


def main() -> None:
    """Measures one way, or both in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--num", type=int, default=20_000)
    parser.add_argument("--as", dest="way", choices=WAYS)
    arguments = parser.parse_args()
    if arguments.way:
        measure(arguments.run, arguments.way)
        return
    with tempfile.TemporaryDirectory() as folder:
        repeat(arguments.run, arguments.num, Path(folder))
        for way in WAYS:
            subprocess.run([sys.executable, __file__, folder, "--as", way], check=True)  # noqa: S603


def repeat(run: Path, num: int, out: Path) -> None:
    """Writes a run folder whose records are the first object of a run, N times."""
    (out / "run.json").write_bytes((run / "run.json").read_bytes())
    lines = (line for path in run.glob("records-*.jsonl") for line in path.open())
    line = next(values for values in map(json.loads, lines) if values["status"] == "done")
    with (out / "records-all.jsonl").open("w") as file:
        for number in range(num):
            file.write(json.dumps({**line, "key": f"{number}", "sample": f"s{number}"}) + "\n")


def measure(run: Path, way: str) -> None:
    """Prints what reading the records of a run in one way takes."""
    folder = RunFolder(run)
    before, start = _resident_mb(), time.perf_counter()
    if way == "records":
        records: object = folder.records()
    else:
        with (run / "records-all.jsonl").open("rb") as file:
            records = [json.loads(line) for line in file]
    seconds = time.perf_counter() - start
    gc.collect()
    print(f"{way}: {_resident_mb() - before:.0f} MB, {seconds:.2f} s")
    del records


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
