"""What YARN's containers get of the submitter's environment: settings and passwords, never on a command line.

`python -m conf.yarn DEFAULTS FILE [--cluster]` writes Spark's properties: those of DEFAULTS, and the environment's. Spark hands
them to YARN as the environment of the containers; its pages and logs show the secret ones as redacted (`spark.redaction.regex`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from conf.settings import PREFIX, Settings, SettingsError, settings

STORE_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ALLOW_HTTP",
    "HADOOP_USER_NAME",
)
"""What driver and executors need to reach lake, models and music."""
HADOOP_CONF_DIR = "__spark_conf__/__hadoop_conf__"
"""Where Spark puts the submitter's Hadoop configuration, from the folder of each container."""
DRIVER_OVERHEAD = "1g"
"""A driver's memory beside Java's: its Python's. YARN ends a container that takes more."""
DRIVER_HOME = "overtone-home"
"""The driver's home in cluster mode, a folder of its container: what is to stay has a location of its own."""

EXPECTED_WARNING = "ignore:Failed to add file:RuntimeWarning"
"""PySpark looks for our zip at the submitter's path too, though YARN has put it on Python's path."""


def properties(environment: Mapping[str, str], is_cluster_mode: bool) -> dict[str, str]:
    """{Spark property: value} that give the containers what they need of the submitter's environment.

    is_cluster_mode : whether the driver runs in a container too; it needs our settings
    Raises SettingsError where a value cannot reach executors.
    """
    store = {name: environment[name] for name in STORE_VARIABLES if environment.get(name)}
    # PySpark hands these on to Python as they are, YARN to Java by a script: no escaping is right for both.
    for name, value in store.items():
        if in_script(value) != value:
            raise SettingsError(
                f'{name} has one of \\ " $ ` {{{{ }}}}, which YARN cannot hand on; choose another value'
            )
    values = {f"spark.executorEnv.{name}": value for name, value in store.items()}
    values["spark.executorEnv.HADOOP_CONF_DIR"] = HADOOP_CONF_DIR
    if is_cluster_mode:
        ours = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
        driver = {**ours, **store, f"{PREFIX}HOME": DRIVER_HOME, "PYTHONSAFEPATH": "1"}
        driver = {name: in_script(value) for name, value in driver.items()}
        driver |= {"HADOOP_CONF_DIR": HADOOP_CONF_DIR, "SPARK_CONF_DIR": "."}  # where settings.toml is, by --files
        driver["PYTHONWARNINGS"] = EXPECTED_WARNING
        values |= {f"spark.yarn.appMasterEnv.{name}": value for name, value in driver.items()}
        values["spark.driver.memoryOverhead"] = DRIVER_OVERHEAD
    return values


def in_script(value: str) -> str:
    """The value as YARN's launch script needs it, which has it between double quotes and replaces {{NAME}}."""
    for special in ("\\", '"', "$", "`"):
        value = value.replace(special, f"\\{special}")
    return value.replace("{{", '{""{').replace("}}", '}""}')


def line(name: str, value: str) -> str:
    """A line of a Java properties file in UTF-8."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f"{name}={escaped}\n"


def check_locations(chosen: Settings) -> None:
    """Raises SettingsError where what must outlive a driver in a container would lie in it."""
    for name, location in chosen.written_locations.items():
        if Path(location).is_relative_to(chosen.home):
            raise SettingsError(
                f"{name} is not set: in cluster mode it would be a folder of the driver's container, which YARN removes; set "
                f"{PREFIX}{name.replace('.', '__').upper()} to a URI, or to a path that all nodes see"
            )


def main(arguments: list[str]) -> int:
    """Writes the file; returns the exit code."""
    defaults, file, is_cluster_mode = Path(arguments[0]), Path(arguments[1]), "--cluster" in arguments[2:]
    try:
        if is_cluster_mode:
            check_locations(settings())
        lines = [line(name, value) for name, value in properties(os.environ, is_cluster_mode).items()]
    except SettingsError as error:
        print(f"overtone: {error}", file=sys.stderr)
        return 2
    file.touch(mode=0o600)
    file.write_text(f"{defaults.read_text(encoding='utf-8')}\n{''.join(lines)}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
