"""Extraction against a pool of processes that calls librosa, on the same files and cores.

    .venv/bin/python bench/extract.py --audio DIR [--small 100] [--large 600] [--repeats 3] [--whole 4000] [--json FILE]

DIR holds real stereo MP3s of about 30 seconds. They are copied until there are enough, each copy with a title of its own so
that none is byte-identical to another, and once more as mono OGG. The pool does what the FMA paper's script does: a
`multiprocessing.Pool` of `librosa.load`, MFCC, spectral contrast and seven statistics. Runs are interleaved, figures are
medians (of the large run with start included, and on one core, there is one), and the cost of a track is the slope between a
small and a large run, so that starting Spark drops out of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pool
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
CORES = len(os.sched_getaffinity(0))
MIDDLE_S = 30.0
FMA_LARGE = 106_574
CHUNK = 2000
"""Tracks between two commits of batch/extract.py."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder of real stereo MP3s")
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--large", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--whole", type=int, default=4000, help="tracks of the run with start included; 0: none")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overtone-bench-") as scratch:
        found = measured(given, Path(scratch))
    print(table(found))
    text = json.dumps(found, indent=2)
    if given.json:
        given.json.write_text(text + "\n")
    print(text)
    return 0


def measured(given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    originals = sorted(path for path in given.audio.rglob("*.mp3") if is_stereo(path))
    if not originals:
        raise SystemExit(f"no stereo MP3 of 25 to 40 s below {given.audio}")
    found: dict[str, Any] = {
        "machine": {"cores": CORES, "processor": processor(), "python": platform.python_version()},
        "tracks": {"originals": len(originals), "small": given.small, "large": given.large, "repeats": given.repeats},
        "kinds": {},
    }
    for kind in ("stereo MP3", "mono OGG"):
        corpora = {
            size: corpus(scratch / f"{kind} {size}", originals, size, kind) for size in (given.small, given.large)
        }
        found["kinds"][kind] = slopes(corpora, given.repeats, scratch)
    large = scratch / f"stereo MP3 {given.large}"
    found["unchanged_s"] = statistics.median(unchanged(large, scratch) for _ in range(given.repeats))
    stereo, small = found["kinds"]["stereo MP3"], scratch / f"stereo MP3 {given.small}"
    alone = (given.large - given.small) / (
        job(large, scratch / "home", cores=1) - job(small, scratch / "home", cores=1)
    )
    found["tracks_a_second"] = {"1 core": alone, f"{CORES} cores": 1000 / stereo["ours_ms"]}
    if given.whole:
        folder = corpus(scratch / "whole", originals, given.whole, "stereo MP3")
        whole = {"tracks": given.whole, "pool_s": pool(folder, "features"), "ours_s": job(folder, scratch / "home")}
        # what a further chunk costs beyond its tracks: two or more are in this run, one in the others
        tracks_s = stereo["fixed_s"] + given.whole * stereo["ours_ms"] / 1000
        whole["commit_s"] = max(0.0, (whole["ours_s"] - tracks_s) / max(1, -(-given.whole // CHUNK) - 1))
        found["whole"] = whole
        chunks_s = FMA_LARGE / CHUNK * whole["commit_s"]
        found["fma_large_minutes"] = (FMA_LARGE * stereo["ours_ms"] / 1000 + stereo["fixed_s"] + chunks_s) / 60
        shutil.rmtree(folder)
    found["memory"] = memory(originals, scratch)
    return found


def slopes(corpora: dict[int, Path], repeats: int, scratch: Path) -> dict[str, float]:
    """Milliseconds of the whole machine a track, for the pool, for us, and for decoding and resampling alone."""
    small, large = corpora
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(repeats):
        for size, folder in corpora.items():
            seconds.setdefault(("pool", size), []).append(pool(folder, "features"))
            seconds.setdefault(("ours", size), []).append(job(folder, scratch / "home"))
            seconds.setdefault(("limit", size), []).append(pool(folder, "decode"))
            print(
                f"  {folder.name}: " + ", ".join(f"{w} {seconds[w, size][-1]:.1f} s" for w in ("pool", "ours", "limit"))
            )
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    ms = {
        who: 1000 * (medians[who, large] - medians[who, small]) / (large - small) for who in ("pool", "ours", "limit")
    }
    return {
        "pool_ms": ms["pool"],
        "ours_ms": ms["ours"],
        "limit_ms": ms["limit"],
        "times_faster": ms["pool"] / ms["ours"],
        "share_of_limit": ms["limit"] / ms["ours"],
        "fixed_s": medians["ours", small] - small * ms["ours"] / 1000,
    }


def job(folder: Path, home: Path, *, fresh: bool = True, cores: int = CORES) -> float:
    """Seconds of `spark-submit.sh batch/extract.py`, start included."""
    if fresh:
        shutil.rmtree(home, ignore_errors=True)
    started = time.monotonic()
    done = subprocess.run(
        [str(PROJECT / "spark-submit.sh"), "batch/extract.py", "--library", str(folder)],
        env={**os.environ, "OVERTONE_HOME": str(home), "MASTER": f"local[{cores},4]"},
        capture_output=True,
        text=True,
    )
    took = time.monotonic() - started
    expected = f" {len(list(folder.iterdir())):,} " if not fresh else f"{len(list(folder.iterdir())):,} extracted"
    if done.returncode or expected not in done.stdout or ", 0 rejected" not in done.stdout:
        raise SystemExit(f"the job failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def unchanged(folder: Path, scratch: Path) -> float:
    if not (scratch / "kept").exists():
        job(folder, scratch / "kept")
    return job(folder, scratch / "kept", fresh=False)


def pool(folder: Path, what: str) -> float:
    """Seconds of the pool as a whole process, imports included."""
    started = time.monotonic()
    command = [sys.executable, __file__, "--pool", what, str(folder)]
    subprocess.run(command, env={**os.environ, **ONE_THREAD}, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def pool_main(what: str, folder: str) -> int:
    paths = sorted(map(str, Path(folder).iterdir()))
    with Pool(CORES) as workers:
        done = sum(1 for _ in workers.imap_unordered(by_librosa if what == "features" else decoded, paths, chunksize=4))
    return 0 if done == len(paths) else 1


def by_librosa(path: str) -> Any:
    import librosa
    import numpy as np
    import scipy.stats

    y, _ = librosa.load(path, sr=22_050, mono=True, duration=MIDDLE_S)
    values = []
    for frames in (
        librosa.feature.mfcc(y=y, sr=22_050, n_mfcc=20),
        librosa.feature.spectral_contrast(y=y, sr=22_050),
    ):
        values += [frames.mean(axis=1), frames.std(axis=1), scipy.stats.skew(frames, axis=1)]
        values += [
            scipy.stats.kurtosis(frames, axis=1),
            np.median(frames, axis=1),
            frames.min(axis=1),
            frames.max(axis=1),
        ]
    return np.concatenate(values)


def decoded(path: str) -> float:
    """What no extraction can do without: decoding, one channel, 22,050 Hz."""
    import numpy as np
    import soundfile
    import soxr

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    weights = np.full(samples.shape[1], 1.0 / samples.shape[1], dtype=np.float32)
    return float(soxr.resample(samples @ weights, rate_hz, 22_050, quality="HQ")[0])


def corpus(folder: Path, originals: list[Path], count: int, kind: str) -> Path:
    """`count` files, all different."""
    import mutagen
    import soundfile

    folder.mkdir(parents=True)
    for number in range(count):
        original = originals[number % len(originals)]
        if kind == "stereo MP3":
            copy = shutil.copy(original, folder / f"{number:06}.mp3")
        else:
            copy = folder / f"{number:06}.ogg"
            before = folder / f"{number % len(originals):06}.ogg"
            if before.exists():
                shutil.copy(before, copy)
            else:
                samples, hertz = soundfile.read(original, dtype="float32", always_2d=True)
                soundfile.write(copy, samples.mean(axis=1), hertz)
        tags = mutagen.File(copy, easy=True)
        tags["title"] = f"Copy {number}"
        tags.save()
    return folder


def memory(originals: list[Path], scratch: Path) -> dict[str, float]:
    """Peak resident MB of the process that reads a two-hour file, and of its caller, as a worker has them."""
    import numpy as np
    import soundfile

    path = scratch / "two hours.flac"
    samples, hertz = soundfile.read(originals[0], dtype="float32", always_2d=True)
    with soundfile.SoundFile(path, "w", hertz, 2) as file:
        for turn in range(int(7200 * hertz / len(samples)) + 1):
            file.write(samples * np.float32(0.5 + 0.5 * (turn % 7) / 7))
    found = {}
    for name, middle_s in (("middle 30 s", MIDDLE_S), ("whole", None)):
        command = [sys.executable, __file__, "--memory", str(path), str(middle_s or 0)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(PROJECT)}
        reader, caller, seconds = map(float, subprocess.check_output(command, env=environment, text=True).split())
        found[name] = {"reader_mb": reader, "caller_mb": caller, "seconds": seconds}
    return found


def memory_main(path: str, middle_s: str) -> int:
    import pandas as pd  # noqa: F401 - what a worker holds besides
    import pyarrow as pa  # noqa: F401

    from batch.library.extraction import outcome

    started = time.monotonic()
    row = outcome(path, os.path.getsize(path), 0, "/", frozenset(), float(middle_s) or None)
    took = time.monotonic() - started
    if row["reason"]:
        raise SystemExit(f"{row['reason']}: {row['detail']}")
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    print(sum(peak_mb(int(child)) for child in children), peak_mb(os.getpid()), took)
    return 0


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def is_stereo(path: Path) -> bool:
    import soundfile

    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        return False
    return info.channels == 2 and 25 <= info.duration <= 40


def processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else platform.machine()


def table(found: dict[str, Any]) -> str:
    lines = [
        "",
        f"{CORES} cores, {found['machine']['processor']}",
        "",
        "| | pool | Overtone | |",
        "| --- | ---: | ---: | --- |",
    ]
    for kind, at in found["kinds"].items():
        lines.append(
            f"| a {kind} of 30 s | {at['pool_ms']:.1f} ms | {at['ours_ms']:.1f} ms | {at['times_faster']:.2f} × |"
        )
        share = f"{at['limit_ms']:.1f} ms, {100 * at['share_of_limit']:.0f} % of our time"
        lines.append(f"| … its decoding and resampling alone | | | {share} |")
        lines.append(f"| … start and commits | | {at['fixed_s']:.1f} s | |")
    if whole := found.get("whole"):
        times, both = f"{whole['pool_s'] / whole['ours_s']:.2f} ×", f"{whole['pool_s']:.0f} s | {whole['ours_s']:.0f} s"
        lines.append(f"| {whole['tracks']:,} stereo MP3s, start included | {both} | {times} |")
    lines.append(f"| nothing changed, {found['tracks']['large']} tracks | | {found['unchanged_s']:.1f} s | |")
    for cores, value in found["tracks_a_second"].items():
        lines.append(f"| on {cores} | | {value:.1f} tracks/s | |")
    if "fma_large_minutes" in found:
        lines.append(f"| fma_large, 106,574 clips (projected) | | {found['fma_large_minutes']:.0f} min | |")
    for part, at in found["memory"].items():
        both = f"{at['reader_mb']:.0f} + {at['caller_mb']:.0f} MB"
        lines.append(f"| two hours of FLAC, {part} | | {both} | {at['seconds']:.1f} s |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pool"]:
        sys.exit(pool_main(*sys.argv[2:]))
    if sys.argv[1:2] == ["--memory"]:
        sys.exit(memory_main(*sys.argv[2:]))
    sys.exit(main())
