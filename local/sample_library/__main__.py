"""python -m local.sample_library OUT [--tracks-per-style N] [--processes N]: render what is missing of the library."""

import argparse
import sys
from pathlib import Path

from local.sample_library import ForeignFolder, RenderingFailed, render


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.sample_library", description="Render the sample library.")
    parser.add_argument("out", type=Path, help="folder for the library; it is made if need be")
    parser.add_argument("--tracks-per-style", type=int, default=8, metavar="N", help="default: 8, in sixteen styles")
    parser.add_argument("--processes", type=int, metavar="N", help="default: one per processor")
    arguments = parser.parse_args()
    out, number = arguments.out, arguments.tracks_per_style
    try:
        files = render(out, tracks_per_style=number, processes=arguments.processes, progress=_show)
    except (ForeignFolder, RenderingFailed, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the same command resumes.", file=sys.stderr)
        return 130
    print(f"{len(files)} tracks in {out}", file=sys.stderr)
    return 0


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} tracks", end="\n" if done == total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
