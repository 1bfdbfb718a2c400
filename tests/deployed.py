"""What deploy/ runs and in what: the image's instructions, and what a command of a container needs to be there."""

from __future__ import annotations

import re
import shlex
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyspark
import yaml

PROJECT = Path(__file__).parents[1]
DEPLOY = PROJECT / "deploy"
IN_IMAGE = "/opt/overtone"
"""Where the image has the project's folder."""
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = f"overtone:{VERSION}"
SPARK_VERSION = re.search(r"^pyspark==(\S+)$", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)[1]  # type: ignore[index]
SECRETS = {
    "OVERTONE_MONGO__URI": "mongodb://name:word@mongo:27017/?replicaSet=rs",
    "OVERTONE_KAFKA__PASSWORD": "word",
    "AWS_ACCESS_KEY_ID": "name",
    "AWS_SECRET_ACCESS_KEY": "word",
}
"""Names of what is secret, and values for the tests."""


def instructions() -> list[tuple[str, str]]:
    """(name, arguments) of each instruction of the Dockerfile, continued lines joined."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    return [
        (name, arguments.strip()) for name, _, arguments in (line.partition(" ") for line in text.splitlines()) if name
    ]


def copied() -> dict[str, str]:
    """{path in the project: path in the image} of what the Dockerfile copies from the project."""
    paths: dict[str, str] = {}
    for name, arguments in instructions():
        words = [word for word in arguments.split() if not word.startswith("--chown")]
        if name != "COPY" or words[0].startswith("--from"):
            continue
        *sources, target = words
        for source in sources:
            folder = target.removeprefix("./")
            paths[source] = (
                f"{IN_IMAGE}/{folder}{source.rpartition('/')[2]}" if target.endswith("/") else f"{IN_IMAGE}/{target}"
            )
    return paths


def is_in_image(path: str) -> bool:
    """Whether the image has a file or folder at a path below IN_IMAGE, by what is copied and by the project's folder."""
    if path.startswith(f"{IN_IMAGE}/.venv/"):
        return path.removeprefix(f"{IN_IMAGE}/.venv/").removesuffix("/*") in {"bin/python", "jars/spark", "jars/s3"}
    for source, target in copied().items():
        if path == target or path.startswith(f"{target}/"):
            return (PROJECT / (source + path.removeprefix(target))).exists()
    return False


def missing_parts(words: list[str]) -> list[str]:
    """What a container's command names and the image has not: scripts, jobs, modules, Java classes."""
    missing = [word for word in words if word.startswith(f"{IN_IMAGE}/") and not is_in_image(word)]
    for flag, module in zip(words, words[1:], strict=False):
        if flag == "-m" and (find_spec(module) is None or not is_in_image(f"{IN_IMAGE}/{module.partition('.')[0]}")):
            missing.append(module)
        if flag == "spark-class" and not _has_java_class(module):
            missing.append(module)
    jobs = [word for word in words if re.match(r"(batch|streaming|local)/", word)]
    missing += [job for job in jobs if not is_in_image(f"{IN_IMAGE}/{job}")]
    programs = {"tini", "bash", "python", "spark-class", f"{IN_IMAGE}/spark-submit.sh"}
    return missing + ([] if words[0] in programs else [words[0]])


def script_words(script: str) -> list[list[str]]:
    """The words of each command of a shell script that runs spark-submit.sh; a loop over jobs is unrolled."""
    commands = []
    loop = re.search(r"for job in ([\w ]+); do", script)
    for line in script.splitlines():
        if "spark-submit.sh" in line:
            jobs = loop[1].split() if loop else [""]
            commands += [shlex.split(re.sub(r"\${1,2}job", job, line)) for job in jobs]
    return commands


def documents(file: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all((DEPLOY / file).read_text()) if document is not None]


def _has_java_class(name: str) -> bool:
    jar = next((Path(pyspark.__file__).parent / "jars").glob("spark-core_*.jar"))
    with zipfile.ZipFile(jar) as archive:
        return f"{name.replace('.', '/')}.class" in archive.namelist()
