"""deploy/kubernetes/: schemas of Kubernetes and of the operator's SparkApplication, and what a schema does not see.

No cluster runs it here. SPARK_APPLICATION is written from the documentation of Apache's Spark operator 1.0.0, whose own schema is
part of its chart; the pods in it are checked by Kubernetes' schema.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from conf.settings import settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from deployed import (  # noqa: E402
    DEPLOY,
    IMAGE,
    IN_IMAGE,
    PROJECT,
    SECRETS,
    SPARK_VERSION,
    documents,
    is_in_image,
    missing_parts,
    script_words,
)

FILES = sorted(file.name for file in (DEPLOY / "kubernetes").glob("*.yaml"))
OBJECTS = [document for file in FILES for document in documents(f"kubernetes/{file}")]
KUBERNETES_VERSIONS = ("1.31", "1.37")
QUERIES = {
    "recommend": "SparkApplication",
    "ledger": "SparkApplication",
    "feed": "Deployment",
    "catalogue": "Deployment",
}
LONG_RUNNING = {**QUERIES, "player": "Deployment"}

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_POD = {"type": "object", "properties": {"podTemplateSpec": {"type": "object"}}, "additionalProperties": False}
_RESTART_NUMBERS = ("maxRestartAttempts", "restartBackoffMillis", "maxRestartOnFailure", "restartCounterResetMillis")
_VERSIONS = ("spark", "scala", "jdk")
_TIMEOUTS = ("driverStart", "executorStart", "driverReady")


def _closed(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with no other fields: the API server drops those that it does not know, silently."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


SPARK_APPLICATION = _closed(
    {
        "mainClass": {"type": "string"},
        "pyFiles": {"type": "string"},
        "deploymentMode": {"enum": ["ClusterMode", "ClientMode"]},
        "driverArgs": {"type": "array", "items": {"type": "string"}},
        "runtimeVersions": _closed({f"{name}Version": {"type": "string"} for name in _VERSIONS}, ("sparkVersion",)),
        "sparkConf": _TEXTS,
        "driverSpec": _POD,
        "executorSpec": _POD,
        "applicationTolerations": _closed(
            {
                "restartConfig": _closed(
                    {"restartPolicy": {"enum": ["Always", "Never", "OnFailure", "OnInfrastructureFailure"]}}
                    | {name: {"type": "integer"} for name in _RESTART_NUMBERS}
                ),
                "applicationTimeoutConfig": _closed(
                    {f"{name}TimeoutMillis": {"type": "integer"} for name in _TIMEOUTS}
                ),
                "resourceRetainPolicy": {"enum": ["Always", "Never", "OnFailure"]},
            }
        ),
    },
    ("runtimeVersions",),
)
"""The fields of `spec` that are used here or might be; sparkConf has texts alone."""


def named(kind: str, name: str) -> dict[str, Any]:
    (manifest,) = [each for each in OBJECTS if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return dict(manifest)


def label(document: dict[str, Any]) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


EXECUTOR_POD = yaml.safe_load(named("ConfigMap", "overtone-spark")["data"]["executor.yaml"])


def pod_templates() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, template) of each pod: a Deployment's, a CronJob's, a SparkApplication's driver and executors."""
    for document in OBJECTS:
        spec = document.get("spec", {})
        if document["kind"] == "Deployment":
            yield label(document), spec["template"]
        elif document["kind"] == "CronJob":
            yield label(document), spec["jobTemplate"]["spec"]["template"]
        elif document["kind"] == "SparkApplication":
            for part in ("driverSpec", "executorSpec"):
                yield f"{label(document)} {part}", spec[part]["podTemplateSpec"]
    (pod,) = documents("pod.yaml")
    yield "pod.yaml", {name: pod[name] for name in ("metadata", "spec")}
    yield "ConfigMap/overtone-spark executor.yaml", {name: EXECUTOR_POD[name] for name in ("metadata", "spec")}


PODS = dict(pod_templates())


def main_template(name: str) -> dict[str, Any]:
    """The pod in which a query or the player runs."""
    kind = LONG_RUNNING[name]
    return PODS[f"{kind}/{name}" + (" driverSpec" if kind == "SparkApplication" else "")]


@pytest.mark.parametrize("document", [each for each in OBJECTS if each["kind"] != "SparkApplication"], ids=label)
def test_each_object_is_as_kubernetes_has_it(document: dict[str, Any]) -> None:
    for version in KUBERNETES_VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_refuses_what_is_misspelt() -> None:
    document = named("Deployment", "feed") | {"specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError, match="specs"):
        kubernetes_validate.validate(document, KUBERNETES_VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", sorted(PODS))
def test_each_pod_is_as_kubernetes_has_it(name: str) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": PODS[name]}
    for version in KUBERNETES_VERSIONS:
        kubernetes_validate.validate(template, version, strict=True)


@pytest.mark.parametrize("name", ["recommend", "ledger"])
def test_each_spark_application_is_as_the_operator_has_it(name: str) -> None:
    document = named("SparkApplication", name)
    assert (
        document.keys() == {"apiVersion", "kind", "metadata", "spec"}
        and document["apiVersion"] == "spark.apache.org/v1"
    )
    jsonschema.validate(document["spec"], SPARK_APPLICATION)
    misspelt = document["spec"] | {"sparkConfig": {}}
    with pytest.raises(jsonschema.ValidationError, match="sparkConfig"):
        jsonschema.validate(misspelt, SPARK_APPLICATION)


@pytest.mark.parametrize("name", ["recommend", "ledger"])
def test_each_spark_application_runs_our_query_on_our_spark(name: str) -> None:
    spec = named("SparkApplication", name)["spec"]
    assert spec["mainClass"] == "org.apache.spark.deploy.PythonRunner", "else the operator sends the program twice"
    assert spec["pyFiles"] == f"local://{IN_IMAGE}/streaming/{name}.py" and is_in_image(
        spec["pyFiles"].removeprefix("local://")
    )
    assert spec["runtimeVersions"]["sparkVersion"] == SPARK_VERSION
    conf = spec["sparkConf"]
    assert conf["spark.kubernetes.container.image"] == IMAGE
    for key in ("spark.driver.extraClassPath", "spark.executor.extraClassPath"):
        assert [path for path in conf[key].split(":") if not is_in_image(path)] == []
    assert is_in_image(conf["spark.pyspark.python"])
    assert is_in_image(conf["spark.driver.extraJavaOptions"].rpartition("file:")[2])
    assert is_in_image(conf["spark.scheduler.allocation.file"].removeprefix("file://"))
    account = conf["spark.kubernetes.authenticate.driver.serviceAccountName"]
    assert named("ServiceAccount", account)
    for part in ("driver", "executor"):  # Spark makes a pod's limits of these
        assert {
            f"spark.{part}.memory",
            f"spark.{part}.memoryOverhead",
            f"spark.kubernetes.{part}.limit.cores",
        } <= conf.keys()


@pytest.mark.parametrize("name", ["recommend", "ledger"])
def test_each_spark_application_has_our_spark_settings(name: str) -> None:
    """The operator gives a driver its sparkConf alone; conf/spark-defaults.conf is spark-submit.sh's."""
    lines = (PROJECT / "conf" / "spark-defaults.conf").read_text().splitlines()
    defaults = dict(line.split() for line in lines if line.strip() and not line.startswith("#"))
    conf = named("SparkApplication", name)["spec"]["sparkConf"]
    assert defaults and {key: conf.get(key) for key in defaults} == defaults


def test_a_query_is_started_again_for_good() -> None:
    for name in ("recommend", "ledger"):
        tolerations = named("SparkApplication", name)["spec"]["applicationTolerations"]
        assert tolerations["restartConfig"]["restartPolicy"] == "Always"
        assert tolerations["restartConfig"]["maxRestartAttempts"] >= 100_000
    for name in ("feed", "catalogue", "player"):
        spec = named("Deployment", name)["spec"]
        assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate"), "one writer at a time"


@pytest.mark.parametrize("name", sorted(PODS))
def test_each_pod_is_restricted(name: str) -> None:
    spec = PODS[name]["spec"]
    assert spec["enableServiceLinks"] is False, "OVERTONE_… of a Service is no setting"
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in spec.get("volumes", ())}
        if "Spec" not in name and not name.endswith(".yaml"):  # Spark sets the others'
            assert container["image"] == IMAGE
            assert container["resources"].keys() == {"requests", "limits"}
            assert container["resources"]["limits"].keys() == {"cpu", "memory"}
            assert named("ServiceAccount", spec["serviceAccountName"])


def test_only_drivers_of_spark_may_ask_the_cluster_for_pods() -> None:
    drivers = {
        "SparkApplication/recommend driverSpec",
        "SparkApplication/ledger driverSpec",
        "CronJob/extract",
        "CronJob/train",
    }
    with_token = {name for name, template in PODS.items() if template["spec"].get("automountServiceAccountToken", True)}
    assert with_token == drivers | {"pod.yaml"}, "it is of a driver, too"
    executor_account = "spark.kubernetes.authenticate.executor.serviceAccountName"
    for name in ("recommend", "ledger"):
        assert named("SparkApplication", name)["spec"]["sparkConf"][executor_account] == "overtone"
    (binding,) = [each for each in OBJECTS if each["kind"] == "RoleBinding"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "overtone-spark"}]
    assert named("Role", binding["roleRef"]["name"])
    assert not any(each["kind"].startswith("Cluster") for each in OBJECTS)


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_probes_ask_what_is_served(name: str) -> None:
    chosen = settings()
    (container,) = main_template(name)["spec"]["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == (chosen.player.port if name == "player" else chosen.stream.metrics_port)
    paths = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: get["path"] for kind, get in paths.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {get["port"] for get in paths.values()} == {port["name"]}
    assert container["readinessProbe"]["timeoutSeconds"] > 6, "longer than an answer takes at most"
    if name != "player":
        assert main_template(name)["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])


def test_the_service_leads_to_the_player() -> None:
    (service,) = [each for each in OBJECTS if each["kind"] == "Service"]
    template = PODS["Deployment/player"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] == template["spec"]["containers"][0]["ports"][0]["name"]
    assert not service["metadata"]["name"].startswith("overtone")
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in template["spec"]["volumes"]]
    assert [named("PersistentVolumeClaim", claim)["kind"] for claim in claims] == ["PersistentVolumeClaim"]


@pytest.mark.parametrize("name", ["feed", "catalogue", "player"])
def test_every_command_is_in_the_image(name: str) -> None:
    (container,) = main_template(name)["spec"]["containers"]
    assert missing_parts(container["command"]) == []
    assert container["command"][-1] == ("ui" if name == "player" else f"streaming.{name}")


def test_the_batch_jobs_run_spark_submit_in_their_pod() -> None:
    jobs_by_name = {}
    for cron in [each for each in OBJECTS if each["kind"] == "CronJob"]:
        assert cron["spec"]["concurrencyPolicy"] == "Forbid" and len(cron["spec"]["schedule"].split()) == 5
        spec = PODS[label(cron)]["spec"]
        (container,) = spec["containers"]
        assert spec["serviceAccountName"] == "overtone-spark" and missing_parts(container["command"]) == []
        words = script_words(container["args"][0])
        assert [missing for each in words for missing in missing_parts(each)] == []
        jobs_by_name[cron["metadata"]["name"]] = [each[-1].removeprefix("batch/").removesuffix(".py") for each in words]
        variables = {each["name"]: each for each in container["env"]}
        assert set(re.findall(r"\$(\w+)", container["args"][0])) == {"POD_IP", "POD_NAME"} <= variables.keys()
        assert variables["MASTER"]["value"].startswith("k8s://https://")
        (mount,) = container["volumeMounts"]
        assert mount["mountPath"] == variables["SPARK_CONF_DIR"]["value"]
        assert spec["volumes"] == [{"name": mount["name"], "configMap": {"name": "overtone-spark"}}]
        defaults = named("ConfigMap", "overtone-spark")["data"]["spark-defaults.conf"]
        conf = dict(line.split(None, 1) for line in defaults.splitlines())
        assert conf["spark.kubernetes.executor.podTemplateFile"] == f"{mount['mountPath']}/executor.yaml"
        assert conf["spark.kubernetes.authenticate.executor.serviceAccountName"] == "overtone"
        assert conf["spark.kubernetes.container.image"] == IMAGE and all(key.startswith("spark.") for key in conf)
        assert is_in_image(conf["spark.driver.extraJavaOptions"].rpartition("file:")[2])
    assert jobs_by_name == {"extract": ["extract", "publish"], "train": ["train", "publish"]}


def test_settings_are_settings_and_secrets_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    values = named("ConfigMap", "overtone-settings")["data"]
    assert values.keys().isdisjoint(SECRETS) and not any(each["kind"] == "Secret" for each in OBJECTS)
    for name, value in (values | SECRETS).items():
        monkeypatch.setenv(name, value)
    chosen = settings()
    assert chosen.kafka.bootstrap_servers == values["OVERTONE_KAFKA__BOOTSTRAP_SERVERS"]
    for root in (chosen.library.root, chosen.lake.root, chosen.models.root, chosen.stream.checkpoints):
        assert re.match(r"s3a?://", root), "nodes share nothing but the store"
    for name, template in PODS.items():
        (container,) = template["spec"]["containers"]
        assert container["envFrom"] == [
            {"configMapRef": {"name": "overtone-settings"}},
            {"secretRef": {"name": "overtone-secrets"}},
        ], name
    text = (DEPLOY / "kubernetes" / "settings.yaml").read_text() + (PROJECT / "docs" / "cluster.md").read_text()
    assert [name for name in SECRETS if name not in text] == []


@pytest.fixture
def options_of(
    printing_spark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """What spark-submit.sh gives to spark-submit on a Kubernetes cluster: (arguments) → words."""
    monkeypatch.setenv("MASTER", "k8s://https://api.example.org:6443")

    def options_of(*arguments: str) -> list[str]:
        command = [PROJECT / "spark-submit.sh", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=True)
        return done.stdout.splitlines()

    return options_of


def value_of(option: str, words: list[str]) -> str:
    return words[words.index(option) + 1]


@pytest.mark.parametrize("mode", [("--deploy-mode", "cluster"), ("--deploy-mode=cluster",)])
def test_in_cluster_mode_on_kubernetes_everything_is_the_images(
    options_of: Callable[..., list[str]], mode: tuple[str, ...]
) -> None:
    words = options_of(*mode, "--name", "x", "batch/extract.py", "--library", "s3://bucket/music")
    assert words[-3:] == [f"local://{IN_IMAGE}/batch/extract.py", "--library", "s3://bucket/music"]
    assert {"--py-files", "--jars", "--files", "--archives"}.isdisjoint(words), "nothing of this machine travels"
    spec = named("SparkApplication", "recommend")["spec"]["sparkConf"]
    for key in ("spark.driver.extraClassPath", "spark.executor.extraClassPath", "spark.pyspark.python"):
        assert f"{key}={spec[key]}" in words
    assert value_of("--driver-java-options", words) == spec["spark.driver.extraJavaOptions"]
    assert f"spark.scheduler.allocation.file={spec['spark.scheduler.allocation.file']}" in words


def test_in_client_mode_on_kubernetes_our_packages_and_jars_travel(options_of: Callable[..., list[str]]) -> None:
    words = options_of("batch/extract.py")
    assert words[-1] == str(PROJECT / "batch" / "extract.py")
    assert value_of("--py-files", words).endswith(".zip") and "delta-spark" in value_of("--jars", words)
    assert f"spark.scheduler.allocation.file=file://{PROJECT}/conf/fairscheduler.xml" in words
    assert (
        value_of("--driver-java-options", words) == f"-Dlog4j2.configurationFile=file:{PROJECT}/conf/log4j2.properties"
    )


def test_image_and_secrets_of_the_command_in_the_docs_reach_spark_as_they_are(
    options_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command for client mode in docs/cluster.md: what it names is given on, before the job, and no secret's content."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("OVERTONE_MONGO__URI", "mongodb://ana:s3cr3t@mongo")
    document = (PROJECT / "docs" / "cluster.md").read_text()
    (command,) = re.findall(r"^\| Kubernetes, client mode \| `([^`]+)`", document, re.MULTILINE)
    arguments = shlex.split(command.partition("./spark-submit.sh ")[2])
    words = options_of(*arguments)
    job = words.index(str(PROJECT / "batch" / "extract.py"))
    assert words[job - arguments.index("batch/extract.py") : job] == arguments[: arguments.index("batch/extract.py")]
    assert "spark.kubernetes.container.image=IMAGE" in arguments
    assert "spark.kubernetes.executor.secretKeyRef.AWS_SECRET_ACCESS_KEY=store:key" in arguments
    assert not any("s3cr3t" in word for word in words)


@pytest.mark.parametrize(
    ("job", "memory"), [("batch/train.py", ["512m"]), ("batch/extract.py", []), ("streaming/ledger.py", [])]
)
def test_the_driver_of_a_training_has_settings_of_its_own(
    options_of: Callable[..., list[str]], job: str, memory: list[str]
) -> None:
    words = options_of(job)
    assert [word.split("=")[1] for word in words if word.startswith("spark.driver.memory=")] == memory
    java = [word.partition("=")[2] for word in words if word.startswith("spark.driver.defaultJavaOptions=")]
    assert [options.split()[0] for options in java] == ["-XX:+UseSerialGC"] * len(memory)
