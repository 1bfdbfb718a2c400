"""Weeks of simulated listeners: do lists last, beside the version before, popularity, random tracks and the plain mean?

    PYTHONPATH=. .venv/bin/python bench/taste_weeks.py [--songs SONGS.csv] [--against CHECKOUT_OF_0_1_0] [--out weeks.json]

Without --songs a made library of 12 kinds × 200 tracks; with it one grown from real songs, 400 tracks a kind. All listeners are
simulated. The settings were chosen on the listeners of seed 41; those of another seed are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
WEEKS = PROJECT / "bench" / "weeks"
SIMPLE_METHODS = ("plain mean", "popularity", "random")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/taste_weeks.py")
    parser.add_argument("--songs", type=Path, help="CSV, a row a song: collection, artist, mfcc_…, contrast_…")
    parser.add_argument("--against", type=Path, help="a checkout of version 0.1.0")
    parser.add_argument("--listeners", type=int, default=6)
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--plays", type=int, default=40, help="a day")
    parser.add_argument("--seed", type=int, default=97)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(WEEKS))
    from libraries import grown, made

    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "library.npz"
        library = grown(options.songs, 400) if options.songs else made(12, 200)
        library.save(file)
        kinds = len(set(library.kinds.tolist()))
        print(
            f"{len(library.ids):,} tracks of {kinds} kinds; {options.listeners} simulated listeners, seed {options.seed}, "
            f"{options.days} days × {options.plays} plays\n",
            flush=True,
        )
        methods = [("Overtone", "lists_now", PROJECT)]
        methods += [("Overtone 0.1.0", "lists_0_1_0", options.against)] if options.against else []
        methods += [(method, method, PROJECT) for method in SIMPLE_METHODS]
        for name, method, checkout in methods:
            results[name] = run(file, method, checkout, options)
    show(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def run(file: Path, method: str, checkout: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one method, by the code of a checkout."""
    command = [sys.executable, "-P", str(WEEKS / "simulation.py"), str(file), method]
    for name in ("listeners", "days", "plays", "seed"):
        command += [f"--{name}", str(getattr(options, name))]
    path = os.pathsep.join((str(WEEKS), str(checkout.resolve())))
    ended = subprocess.run(
        command,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd="/",
    )
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures


def show(results: dict[str, dict[str, Any]]) -> None:
    """Prints a table for the weeks, by what is played of the list, and one for newly loved kinds."""
    policies = list(next(iter(results.values()))["weeks"])
    columns = list(next(iter(results.values()))["weeks"][policies[0]])
    print(
        "| simulated listeners take | lists by | " + " | ".join(columns) + " |\n| --- | --- |" + " --- |" * len(columns)
    )
    for policy in policies:
        for name, figures in results.items():
            cells = [
                f"{value:.1f}" if column == "ms a list" else f"{value:.3f}"
                for column, value in figures["weeks"][policy].items()
            ]
            print(f"| {policy} | {name} | " + " | ".join(cells) + " |")
    columns = list(next(iter(results.values()))["new"])
    print(
        "\n| plays until a newly loved kind has half of its due | "
        + " | ".join(columns)
        + " |\n| --- |"
        + " --- |" * len(columns)
    )
    for name, figures in results.items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in figures["new"].values()) + " |")


if __name__ == "__main__":
    sys.exit(main())
