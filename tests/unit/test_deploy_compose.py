"""deploy/compose.yaml: its schema, and what a schema does not see. No engine runs it here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conf.settings import settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from deployed import DEPLOY, IMAGE, documents, missing_parts, script_words  # noqa: E402

BIN = Path(sys.executable).parent
(COMPOSE,) = documents("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == IMAGE}
RUN_ONCE = {"mongo-init", "minio-init", "batch"}
QUERIES = {"recommend", "ledger", "feed", "catalogue"}


def test_it_is_a_compose_file() -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_has_all_parts() -> None:
    others = {"kafka", "mongo", "mongo-init", "minio", "minio-init"}
    assert SERVICES.keys() == others | QUERIES | {"spark-master", "spark-worker", "batch", "player"}
    assert OURS.keys() == SERVICES.keys() - others
    assert SERVICES["spark-worker"]["deploy"]["replicas"] >= 2
    assert [
        name
        for name, service in SERVICES.items()
        if not re.search(r":(\d+\.\d+\.\d+|RELEASE\.\S+Z)$", service["image"])
    ] == [], "pinned"


def test_the_player_alone_is_published_and_on_this_machine_alone() -> None:
    port = settings().player.port
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"player": [f"127.0.0.1:{port}:{port}"]}
    assert not any(service.get("network_mode") or service.get("privileged") for service in SERVICES.values())


def test_what_runs_for_good_is_checked_limited_and_started_again() -> None:
    for name in SERVICES.keys() - RUN_ONCE:
        service = SERVICES[name]
        assert service["restart"] == "unless-stopped" and service["healthcheck"]["test"][0] == "CMD", name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name


def test_each_part_waits_until_what_it_needs_is_ready() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in RUN_ONCE else "service_healthy"
            assert (name, other, wanted["condition"]) == (name, other, expected)
    needed = {"kafka", "mongo-init", "minio-init"}
    assert all(needed <= SERVICES[name]["depends_on"].keys() for name in [*QUERIES, "player", "batch"])
    assert all("spark-worker" in SERVICES[name]["depends_on"] for name in ("recommend", "ledger", "batch"))
    assert "mongo" in SERVICES["mongo-init"]["depends_on"] and "minio" in SERVICES["minio-init"]["depends_on"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_is_in_the_image(name: str) -> None:
    command = OURS[name]["command"]
    assert missing_parts(command) == []
    if command[0] == "bash":
        commands = script_words(command[-1])
        assert commands and [missing for words in commands for missing in missing_parts(words)] == []


def test_every_query_and_every_batch_job_runs() -> None:
    words = {name: " ".join(SERVICES[name]["command"]) for name in QUERIES}
    assert all(re.search(rf"streaming[./]{name}(\.py)?$", words[name]) for name in QUERIES)
    assert [words[-1] for words in script_words(SERVICES["batch"]["command"][-1])] == [
        "batch/extract.py",
        "batch/train.py",
        "batch/publish.py",
    ]


def test_the_cluster_has_room_for_both_queries_and_a_batch_job() -> None:
    """A standalone master gives all cores to whoever comes first, unless that is limited."""
    worker = SERVICES["spark-worker"]
    cores = int(worker["command"][worker["command"].index("--cores") + 1]) * worker["deploy"]["replicas"]
    submits = [
        SERVICES["recommend"]["command"],
        SERVICES["ledger"]["command"],
        script_words(SERVICES["batch"]["command"][-1])[0],
    ]
    assert sum(int(words[words.index("--total-executor-cores") + 1]) for words in submits) <= cores


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_variables_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+[^}]*\}", "word", value))
    chosen = settings()
    hosts = {chosen.mongo.place.partition(":")[0], chosen.kafka.bootstrap_servers.partition(":")[0]}
    hosts |= set(
        re.findall(r"//([\w-]+):", OURS[name]["environment"]["AWS_ENDPOINT_URL"] + OURS[name]["environment"]["MASTER"])
    )
    assert hosts == {"mongo", "kafka", "minio", "spark-master"} and hosts <= SERVICES.keys()
    assert chosen.library.root == "/music" and any(volume.endswith(":/music:ro") for volume in OURS[name]["volumes"])
    for root in (chosen.lake.root, chosen.models.root, chosen.stream.checkpoints):
        assert root.startswith("s3a://overtone/"), "in the bucket that minio-init makes"
    assert SERVICES["minio-init"]["command"][-1] == "store/overtone"


def test_secrets_come_from_the_environment_file() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    used = set(re.findall(r"(?<!\$)\$\{(\w+):\?", text))
    assert used == set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert re.findall(r"(?<!\$)\$\{\w+[^:\w]", text) == [], "one that is not set is an error"
    for line in text.splitlines():
        if re.search(r"(PASSWORD|SECRET|ACCESS_KEY)\w*:", line):
            assert "${" in line, line
    assert "deploy/.env" in (DEPLOY.parent / ".gitignore").read_text().split()


def test_health_checks_ask_the_ports_that_are_served() -> None:
    chosen = settings()
    port_by_name = dict.fromkeys(QUERIES, chosen.stream.metrics_port) | {"player": chosen.player.port}
    for name in ("spark-master", "spark-worker"):
        command = SERVICES[name]["command"]
        port_by_name[name] = int(command[command.index("--webui-port") + 1])
    for name, port in port_by_name.items():
        test = SERVICES[name]["healthcheck"]["test"]
        path = "/" if name.startswith("spark") else "/readyz"
        assert missing_parts(test[1:]) == [] and test[-1] == f"http://127.0.0.1:{port}{path}", name


def test_data_outlive_their_containers() -> None:
    named = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert COMPOSE["volumes"].keys() == named - {"${MUSIC"}
    assert "player:/home/overtone/data" in SERVICES["player"]["volumes"]
