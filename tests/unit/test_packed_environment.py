"""The environment of a cluster's workers: whatever a module of ours imports at its top is packed."""

from __future__ import annotations

import re
import subprocess
import sys

from conf.settings import PROJECT

IMPORT_ALL = """
import importlib, pkgutil, sys
left_out = set(sys.argv[1].split())
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in left_out:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refusing())
missing = {}
for package in ("batch", "conf", "streaming"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing[module.name] = error.name
print(missing)
"""


def test_a_worker_can_import_every_module_from_the_packed_environment() -> None:
    """A task's function brings its module's imports to the worker, those of the driver's part too."""
    script = (PROJECT / "deploy" / "pack-environment.sh").read_text()
    (listed,) = re.findall(r"^left_out=\(([^)]*)\)", script, re.MULTILINE)
    left_out = set(listed.split()) - {"pyspark"}  # comes with the cluster's Spark
    assert {"gradio", "moto"} <= left_out
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_ALL, " ".join(left_out)],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'batch.report.figures': 'matplotlib'}"  # imported where the driver draws
    assert "__mypyc" not in script  # chardet is compiled so, and its compiled part lies beside it
