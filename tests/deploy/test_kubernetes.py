"""`k8s/base`: that Kubernetes accepts what kustomize makes of it, and that it says what all the rest says."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.grants import redis_grants
from shared.monitors import parse_monitors, read_monitors
from shared.services import SERVICES, SHARING
from shared.settings import Settings, read_settings
from tests.kit.compose import containers
from tests.kit.repository import ROOT
from tests.kit.validators import program

BASE = ROOT / "k8s" / "base"
OLDEST, NEWEST = "1.29", "1.37"
EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES)


def _rendered(folder: Path = BASE) -> str:
    found = program("kubectl", "kustomize")
    command = [found, "kustomize" if found.endswith("kubectl") else "build", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@cache
def objects(folder: Path = BASE) -> dict[tuple[str, str], dict[str, Any]]:
    """Return everything that is applied, by kind and name without the hash of generated ones."""
    found = {}
    for item in yaml.safe_load_all(_rendered(folder)):
        kind, name = item["kind"], item["metadata"]["name"]
        found[kind, name.rpartition("-")[0] if kind == "ConfigMap" else name] = item
    return found


def workloads() -> list[dict[str, Any]]:
    return [item for (kind, _), item in objects().items() if kind in ("Deployment", "Job")]


def deployment(service: str) -> dict[str, Any]:
    return objects()["Deployment", f"driftline-{service.replace('_', '-')}"]


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]
    return found


def container(workload: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod(workload)["containers"]
    return dict(found)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(version: str) -> None:
    command = [program("kubernetes-validate"), "--strict", "-k", version, "-"]

    ran = subprocess.run(command, input=_rendered(), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_service_is_one_deployment() -> None:
    named = {name for kind, name in objects() if kind == "Deployment"}

    assert named == {f"driftline-{service.replace('_', '-')}" for service in SERVICES}


@EVERY_SERVICE
def test_a_deployment_runs_its_service_as_compose_does(service: str) -> None:
    (same,) = [found for found in containers() if found.name == service]

    assert container(deployment(service))["args"] == same.command


@pytest.mark.parametrize("step", ["topics", "warm_up"])
def test_a_job_does_what_a_step_of_compose_does(step: str) -> None:
    (same,) = [found for found in containers() if found.name == step]

    assert container(objects()["Job", f"driftline-{step.replace('_', '-')}"])["args"] == same.command


@EVERY_SERVICE
def test_probes_and_scrapes_meet_the_service_where_it_answers(service: str) -> None:
    found, port = container(deployment(service)), Settings().health_port_of(service)
    annotations = deployment(service)["spec"]["template"]["metadata"]["annotations"]

    probes = {name: found[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert found["ports"] == [{"name": "health", "containerPort": port}]
    assert annotations["prometheus.io/port"] == str(port)
    assert annotations["prometheus.io/path"] == "/metrics"
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "health"},
        "livenessProbe": {"path": "/livez", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
    }


@pytest.mark.parametrize("service", ["joiner", "detector", "retrain_trigger", "notifier"])
def test_what_works_alone_is_never_doubled_by_a_rollout(service: str) -> None:
    spec = deployment(service)["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_every_pod_is_restricted() -> None:
    for workload in workloads():
        assert pod(workload)["automountServiceAccountToken"] is False
        assert pod(workload)["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10_001,
            "runAsGroup": 10_001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container(workload)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container(workload)["resources"].keys() == {"requests", "limits"}


def test_the_settings_are_settings_and_hold_no_secret() -> None:
    settings = read_settings(objects()["ConfigMap", "driftline-settings"]["data"])

    assert settings.topics == Settings().topics
    assert settings.id_key == ""
    assert [kind for kind, _ in objects() if kind == "Secret"] == []
    for workload in workloads():
        assert {"secretRef": {"name": "driftline"}} in container(workload)["envFrom"]


def test_what_is_watched_is_what_compose_watches() -> None:
    config = objects()["ConfigMap", "driftline-config"]["data"]

    assert parse_monitors(config["driftline.yaml"].encode()) == read_monitors(ROOT / "deploy" / "driftline.yaml")


def test_pods_find_the_configuration_where_the_image_looks_for_it() -> None:
    for workload in workloads():
        mounts = {mount["mountPath"]: mount["name"] for mount in container(workload)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod(workload)["volumes"]}
        assert volumes[mounts["/etc/driftline"]]["configMap"]["name"].startswith("driftline-config-")
        assert "emptyDir" in volumes[mounts["/tmp"]]  # noqa: S108 - the container's own


def with_components(folder: Path, *components: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return everything that an overlay with these components applies; Kubernetes knows every field of it."""
    shutil.copytree(ROOT / "k8s", folder / "k8s")
    overlay = folder / "overlay"
    overlay.mkdir()
    listed = ", ".join(f"../k8s/components/{name}" for name in components)
    (overlay / "kustomization.yaml").write_text(f"resources: [../k8s/base]\ncomponents: [{listed}]\n")
    return objects(overlay)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field_of_the_components(version: str, tmp_path: Path) -> None:
    found = with_components(tmp_path, "secured", "network-policy", "shared-out")
    command = [program("kubernetes-validate"), "--strict", "-k", version, "-"]

    ran = subprocess.run(command, input=yaml.safe_dump_all(found.values()), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_secured_pod_has_the_settings_of_its_role_and_the_secret_of_its_own(tmp_path: Path) -> None:
    found = with_components(tmp_path, "secured")
    roles = {f"driftline-{service.replace('_', '-')}": service for service in SERVICES}
    roles |= {"driftline-topics": "operator", "driftline-warm-up": "operator"}
    on_redis = {grant.role for grant in redis_grants(Settings())} & set(SERVICES)  # no job looks at it
    secrets = {}

    for (kind, name), workload in found.items():
        if kind not in ("Deployment", "Job"):
            continue
        given = {variable["name"]: variable["value"] for variable in container(workload)["env"]}
        settings = read_settings({**given, "DRIFTLINE_REDIS_URL": "rediss://redis:6380/0"})
        volumes = {volume["name"]: volume for volume in pod(workload)["volumes"]}
        mounts = {mount["name"]: mount for mount in container(workload)["volumeMounts"]}
        secrets[roles[name]] = volumes["access"]["secret"]["secretName"]
        assert (mounts["access"]["mountPath"], mounts["access"]["readOnly"]) == ("/etc/driftline-access", True)
        assert settings.kafka_security_protocol == "SASL_SSL"
        assert settings.kafka_username == f"driftline-{roles[name]}"
        assert settings.redis_username == (f"driftline-{roles[name]}" if roles[name] in on_redis else "")

    assert secrets == {role: f"driftline-{role.replace('_', '-')}-access" for role in roles.values()}


def test_pods_are_reached_at_their_health_and_reach_no_more_than_they_need(tmp_path: Path) -> None:
    found = with_components(tmp_path, "network-policy")
    policy, receivers = (found["NetworkPolicy", name]["spec"] for name in ("driftline", "driftline-receivers"))

    ((inward,),) = [rule["ports"] for rule in policy["ingress"]]
    outward = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    sending = next(e for e in receivers["podSelector"]["matchExpressions"] if e["key"].endswith("component"))
    ports = [Settings().health_port_of(service) for service in SERVICES]
    assert (inward["port"], inward["endPort"]) == (ports[0], ports[-1])
    assert outward == {53, 9092, 6379}
    assert set(sending["values"]) == {"notifier", "retrain-trigger"}
    assert policy["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "driftline"}}


def test_what_runs_more_than_once_is_drained_one_at_a_time() -> None:
    deployments = {name: item["spec"] for (kind, name), item in objects().items() if kind == "Deployment"}
    several = {name for name, spec in deployments.items() if spec["replicas"] > 1}
    budgets = {name: item["spec"] for (kind, name), item in objects().items() if kind == "PodDisruptionBudget"}

    assert budgets.keys() == several
    for name, budget in budgets.items():
        assert budget == {"maxUnavailable": 1, "selector": deployments[name]["selector"]}


def test_the_overlay_of_the_page_has_its_own_settings_image_and_models(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (overlay,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(overlay)
    (folder / "settings.env").write_text("DRIFTLINE_BOOTSTRAP=elsewhere:9092\n")
    (folder / "driftline.yaml").write_text("models: {m: {task: regression, reference: m.csv}}\n")

    found = objects(folder)

    settings = read_settings(found["ConfigMap", "driftline-settings"]["data"])
    assert (settings.bootstrap, settings.health_host) == ("elsewhere:9092", "0.0.0.0")  # noqa: S104 - in a pod
    assert list(parse_monitors(found["ConfigMap", "driftline-config"]["data"]["driftline.yaml"].encode()).models) == [
        "m"
    ]
    for (kind, _), item in found.items():
        assert item["metadata"]["namespace"] == "driftline"
        if kind in ("Deployment", "Job"):
            assert container(item)["image"] == "registry.example.com/driftline:0.1.0"


def test_joiners_and_detectors_that_share_out_are_several(tmp_path: Path) -> None:
    found = with_components(tmp_path, "shared-out")
    settings = read_settings(next(item for (kind, name), item in found.items() if "settings" in name)["data"])
    several = {name: item["spec"] for (kind, name), item in found.items() if kind == "Deployment"}

    assert settings.assignment == "group"
    for service in SHARING:
        spec = several[f"driftline-{service}"]
        assert (spec["replicas"], spec["strategy"]) == (2, {"type": "RollingUpdate"})
    assert several["driftline-notifier"]["replicas"] == 1
