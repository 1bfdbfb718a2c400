"""Measures batch/extract.py against a pool of processes that call librosa, on the same files and cores.

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
FMA_LARGE_TRACKS = 106_574
COMMIT_S = 300.0
"""As in conf/settings.toml (`library.commit_minutes`)."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder of real stereo MP3s")
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--large", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--whole", type=int, default=4000, help="tracks of the run with start included; 0: none")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overtone-bench-") as scratch:
        results = measured(options, Path(scratch))
    print(table(results))
    text = json.dumps(results, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0


def measured(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    originals = sorted(path for path in options.audio.rglob("*.mp3") if is_stereo(path))
    if not originals:
        raise SystemExit(f"no stereo MP3 of 25 to 40 s below {options.audio}")
    results: dict[str, Any] = {
        "machine": {"cores": CORES, "processor": processor(), "python": platform.python_version()},
        "tracks": {
            "originals": len(originals),
            "small": options.small,
            "large": options.large,
            "repeats": options.repeats,
        },
        "kinds": {},
    }
    for kind in ("stereo MP3", "mono OGG"):
        corpora = {
            size: corpus(scratch / f"{kind} {size}", originals, size, kind) for size in (options.small, options.large)
        }
        results["kinds"][kind] = slopes(corpora, options.repeats, scratch)
    large = scratch / f"stereo MP3 {options.large}"
    results["unchanged_s"] = statistics.median(unchanged(large, scratch) for _ in range(options.repeats))
    stereo, small = results["kinds"]["stereo MP3"], scratch / f"stereo MP3 {options.small}"
    one_core_s = job(large, scratch / "home", cores=1) - job(small, scratch / "home", cores=1)
    one_core = (options.large - options.small) / one_core_s
    results["tracks_a_second"] = {"1 core": one_core, f"{CORES} cores": 1000 / stereo["ours_ms"]}
    if options.whole:
        folder = corpus(scratch / "whole", originals, options.whole, "stereo MP3")
        whole = {"tracks": options.whole, "pool_s": pool(folder, "features"), "ours_s": job(folder, scratch / "home")}
        # the cost of a further commit: this run has two or more, the others have one
        commits = len(list((scratch / "home" / "lake" / "tracks" / "_delta_log").glob("*.json")))
        tracks_s = stereo["fixed_s"] + options.whole * stereo["ours_ms"] / 1000
        whole["commit_s"] = max(0.0, (whole["ours_s"] - tracks_s) / max(1, commits - 1))
        results["whole"] = whole
        clips_s = FMA_LARGE_TRACKS * stereo["ours_ms"] / 1000
        commits_s = clips_s / COMMIT_S * whole["commit_s"]
        results["fma_large_minutes"] = (clips_s + stereo["fixed_s"] + commits_s) / 60
        shutil.rmtree(folder)
    results["memory"] = memory(originals, scratch)
    return results


def slopes(corpora: dict[int, Path], repeats: int, scratch: Path) -> dict[str, float]:
    """Milliseconds per track on all cores: of the pool, of extract, and of decoding and resampling alone (the limit).

    corpora : folder by number of tracks, a small one and a large one
    """
    small, large = corpora
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(repeats):
        for size, folder in corpora.items():
            seconds.setdefault(("pool", size), []).append(pool(folder, "features"))
            seconds.setdefault(("ours", size), []).append(job(folder, scratch / "home"))
            seconds.setdefault(("limit", size), []).append(pool(folder, "decode"))
            times = ", ".join(f"{name} {seconds[name, size][-1]:.1f} s" for name in ("pool", "ours", "limit"))
            print(f"  {folder.name}: {times}")
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    ms = {
        name: 1000 * (medians[name, large] - medians[name, small]) / (large - small)
        for name in ("pool", "ours", "limit")
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
    """Seconds of `spark-submit.sh batch/extract.py`, start included.  fresh : with an empty home"""
    if fresh:
        shutil.rmtree(home, ignore_errors=True)
    started = time.monotonic()
    done = subprocess.run(
        [str(PROJECT / "spark-submit.sh"), "batch/extract.py", "--library", str(folder)],
        env={**os.environ, "OVERTONE_HOME": str(home), "MASTER": f"local[{cores},4]"},
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - started
    expected = f" {len(list(folder.iterdir())):,} " if not fresh else f"{len(list(folder.iterdir())):,} extracted"
    if done.returncode or expected not in done.stdout or ", 0 rejected" not in done.stdout:
        raise SystemExit(f"the job failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds


def unchanged(folder: Path, scratch: Path) -> float:
    """Seconds of a second run over files that have not changed."""
    if not (scratch / "kept").exists():
        job(folder, scratch / "kept")
    return job(folder, scratch / "kept", fresh=False)


def pool(folder: Path, task: str) -> float:
    """Seconds of the pool as a process, imports included.  task : features or decode"""
    started = time.monotonic()
    command = [sys.executable, __file__, "--pool", task, str(folder)]
    subprocess.run(command, env={**os.environ, **ONE_THREAD}, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def pool_main(task: str, folder: str) -> int:
    paths = sorted(map(str, Path(folder).iterdir()))
    with Pool(CORES) as workers:
        done = sum(1 for _ in workers.imap_unordered(by_librosa if task == "features" else decoded, paths, chunksize=4))
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
    """The part that no extraction can save: decode, mix to one channel, resample to 22,050 Hz."""
    import numpy as np
    import soundfile
    import soxr

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    weights = np.full(samples.shape[1], 1.0 / samples.shape[1], dtype=np.float32)
    return float(soxr.resample(samples @ weights, rate_hz, 22_050, quality="HQ")[0])


def corpus(folder: Path, originals: list[Path], count: int, kind: str) -> Path:
    """`count` files, no two of which are byte-identical."""
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
    """Peak resident MB of the reading process for a two-hour file, and of its caller, as Spark's Python worker has them."""
    import numpy as np
    import soundfile

    path = scratch / "two hours.flac"
    samples, hertz = soundfile.read(originals[0], dtype="float32", always_2d=True)
    with soundfile.SoundFile(path, "w", hertz, 2) as file:
        for turn in range(int(7200 * hertz / len(samples)) + 1):
            file.write(samples * np.float32(0.5 + 0.5 * (turn % 7) / 7))
    usage = {}
    for name, middle_s in (("middle 30 s", MIDDLE_S), ("whole", None)):
        command = [sys.executable, __file__, "--memory", str(path), str(middle_s or 0)]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(PROJECT)}
        reader, caller, seconds = map(float, subprocess.check_output(command, env=environment, text=True).split())
        usage[name] = {"reader_mb": reader, "caller_mb": caller, "seconds": seconds}
    return usage


def memory_main(path: str, middle_s: str) -> int:
    import pandas as pd  # noqa: F401 - imported by a Python worker, too
    import pyarrow as pa  # noqa: F401

    from batch.ear.network import usable_graph
    from batch.library.extraction import outcome

    started = time.monotonic()
    file = {"path": path, "size": os.path.getsize(path), "mtime_ns": 0, "ctime_ns": None, "sha256": None}
    ear_graph, _ = usable_graph("musicnn")
    row = outcome(file, "/", {}, float(middle_s) or None, str(ear_graph or ""))
    seconds = time.monotonic() - started
    if row["reason"]:
        raise SystemExit(f"{row['reason']}: {row['detail']}")
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    print(sum(peak_mb(int(child)) for child in children), peak_mb(os.getpid()), seconds)
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


def table(results: dict[str, Any]) -> str:
    lines = [
        "",
        f"{CORES} cores, {results['machine']['processor']}",
        "",
        "| | pool | Overtone | |",
        "| --- | ---: | ---: | --- |",
    ]
    for kind, figures in results["kinds"].items():
        lines.append(
            f"| a {kind} of 30 s | {figures['pool_ms']:.1f} ms | {figures['ours_ms']:.1f} ms | {figures['times_faster']:.2f} × |"
        )
        share = f"{figures['limit_ms']:.1f} ms, {100 * figures['share_of_limit']:.0f} % of our time"
        lines.append(f"| … its decoding and resampling alone | | | {share} |")
        lines.append(f"| … start and commits | | {figures['fixed_s']:.1f} s | |")
    if whole := results.get("whole"):
        times_faster = f"{whole['pool_s'] / whole['ours_s']:.2f} ×"
        seconds = f"{whole['pool_s']:.0f} s | {whole['ours_s']:.0f} s"
        lines.append(f"| {whole['tracks']:,} stereo MP3s, start included | {seconds} | {times_faster} |")
    lines.append(f"| nothing changed, {results['tracks']['large']} tracks | | {results['unchanged_s']:.1f} s | |")
    for cores, value in results["tracks_a_second"].items():
        lines.append(f"| on {cores} | | {value:.1f} tracks/s | |")
    if "fma_large_minutes" in results:
        lines.append(f"| fma_large, 106,574 clips (projected) | | {results['fma_large_minutes']:.0f} min | |")
    for part, usage in results["memory"].items():
        memory_mb = f"{usage['reader_mb']:.0f} + {usage['caller_mb']:.0f} MB"
        lines.append(f"| two hours of FLAC, {part} | | {memory_mb} | {usage['seconds']:.1f} s |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pool"]:
        sys.exit(pool_main(*sys.argv[2:]))
    if sys.argv[1:2] == ["--memory"]:
        sys.exit(memory_main(*sys.argv[2:]))
    sys.exit(main())
