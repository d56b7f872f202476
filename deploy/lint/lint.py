"""Holds every manifest under deploy/ to the schemas of those who read it.

Kustomize builds each folder that has a kustomization. Its objects are validated by Kubernetes' own schemas,
strictly, and the resources that extensions define by the files of `schemas`, which are named
`<group>_<version>_<Kind>.yaml`. The template of AWS is expanded as SAM would; the result goes to cfn-lint,
the state machine to statelint. hadolint reads the container files.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
from statelint.linter import Linter

HERE = Path(__file__).resolve().parent
DEPLOY = HERE.parent
KUBERNETES = "1.37"
BIN = Path(sys.executable).parent
TEMPLATE = DEPLOY / "aws/template.yaml"
CONTAINERFILES = sorted(DEPLOY.rglob("Containerfile"))


class Refused(Exception):
    """A validator found a fault; the message says where, and what was expected."""


def kustomizations() -> list[Path]:
    """All folders that kustomize builds."""
    return sorted(file.parent for file in DEPLOY.rglob("kustomization.yaml"))


def build(folder: Path) -> list[dict]:
    """The objects that `kubectl apply -k folder` would send."""
    return list(yaml.safe_load_all(_output([BIN / "kubectl", "kustomize", folder])))


def validate(manifest: dict) -> None:
    """Raise `Refused` unless the manifest is one that a cluster with the needed extensions accepts."""
    name = f"{manifest['apiVersion']} {manifest['kind']} {manifest['metadata'].get('name')}"
    schema = HERE / "schemas" / f"{manifest['apiVersion'].replace('/', '_')}_{manifest['kind']}.yaml"
    try:
        if schema.exists():
            _validator(schema).validate(manifest)
        else:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        if manifest["apiVersion"].startswith("serving.knative.dev/"):
            kubernetes_validate.validate(_pod(manifest), KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError as error:
        raise Refused(f"{name}: neither Kubernetes nor {HERE.name}/schemas knows this kind") from error
    except (ValidationError, kubernetes_validate.ValidationError) as error:
        raise Refused(f"{name}: {'.'.join(map(str, error.path))}: {error.message}") from error


def sam(template: Path) -> None:
    """Raise `Refused` unless SAM expands the template, and CloudFormation and Step Functions take it."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # whose names SAM fills in
    content = yaml_parse(template.read_text())
    for name, resource in content["Resources"].items():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            _statelint(name, resource["Properties"]["Definition"])
    try:
        # No policy is named in the template, so AWS is never asked for their list.
        expanded = transform(content, {}, ManagedPolicyLoader(None))
    except InvalidDocumentException as error:
        raise Refused(f"SAM: {error.message} {[cause.message for cause in error.causes]}") from error
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(expanded, file, indent=1)
        file.flush()
        _output([BIN / "cfn-lint", "--non-zero-exit-code", "warning", file.name])


def _statelint(name: str, definition: dict) -> None:
    definition = copy.deepcopy(definition)
    for state in definition["States"].values():
        # The language leaves this field to the service that reads, so statelint does not know it.
        kind = state.get("ItemReader", {}).get("ReaderConfig", {}).pop("InputType", "JSONL")
        if kind not in ("CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"):
            raise Refused(f"{name}: {kind} is no InputType of an ItemReader")
    if problems := Linter.validate(definition):
        raise Refused(f"{name}: {'; '.join(problems)}")


def hadolint(containerfile: Path) -> None:
    """Raise `Refused` unless the container file follows hadolint's rules."""
    _output([BIN / "hadolint", containerfile])


def _output(command: list) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(f"{Path(command[0]).name}: {done.stdout}{done.stderr}".rstrip())
    return done.stdout


@cache
def _validator(schema: Path) -> Draft202012Validator:
    definitions = Resource.from_contents(yaml.safe_load((HERE / "schemas/definitions.yaml").read_text()))
    registry = definitions @ Registry()
    content = yaml.safe_load(schema.read_text())
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content, registry=registry)


def _pod(service: dict) -> dict:
    """The pod that Knative makes of its Service: without what Knative adds, with what it fills in."""
    own = ("containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds")
    spec = {name: value for name, value in service["spec"]["template"]["spec"].items() if name not in own}
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    spec["containers"] = [
        container | {name: _with_port(container[name]) for name in probes if name in container}
        for container in spec["containers"]
    ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": spec}


def _with_port(probe: dict) -> dict:
    return probe | ({"httpGet": {"port": 8080} | probe["httpGet"]} if "httpGet" in probe else {})
