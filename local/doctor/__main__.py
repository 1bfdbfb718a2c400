"""python -m local.doctor [--json] [--patience S]: what is wrong with this installation, a line each, and what to do.

Exit codes: 0 all is well (notes do not count), 1 something is wrong, 2 an argument is wrong.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence

from conf.settings import SettingsError, settings
from local.doctor.checkpoints import checkpoints
from local.doctor.findings import PATIENCE_S, Check, Finding, Result, as_json, as_text, results
from local.doctor.kafka import kafka
from local.doctor.locations import storage
from local.doctor.machine import jars, java, python
from local.doctor.models import models, unfinished
from local.doctor.mongodb import document_versions, mongodb
from local.doctor.runs import leases, ports, run_env
from local.doctor.tables import tables

CHECKS: tuple[tuple[str, Check], ...] = (
    ("java", java),
    ("python", python),
    ("jars", jars),
    ("storage", storage),
    ("mongodb", mongodb),
    ("kafka", kafka),
    ("tables", tables),
    ("models", models),
    ("unfinished models", unfinished),
    ("checkpoints", checkpoints),
    ("versions of documents", document_versions),
    ("run.env", run_env),
    ("leases", leases),
    ("ports", ports),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the results; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.doctor", description="Names what is wrong, and what to do.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="S",
        help=f"seconds for all checks (default {PATIENCE_S:.0f})",
    )
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # of clients that try again; what they find is in the findings
    warnings.simplefilter("ignore")
    done: list[Result] = []
    try:
        chosen = settings()
    except SettingsError as error:
        lines = str(error).removeprefix("wrong settings:").strip().splitlines()
        findings = [Finding(line.strip(), "no job starts with it", "see conf/settings.toml") for line in lines]
        done.append(Result("settings", tuple(findings)))
    else:
        for result in results(CHECKS, chosen, options.patience):
            done.append(result)
            if not options.json:
                print(as_text(result), flush=True)
    if options.json:
        print(as_json(done), flush=True)
    elif len(done) == 1:
        print(as_text(done[0]), flush=True)
    return 0 if all(result.is_well for result in done) else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a check that hangs in a native library would hold up the interpreter's end
