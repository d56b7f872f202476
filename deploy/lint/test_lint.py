"""The manifests are valid, and each validator refuses what it is there to refuse."""

import copy
from pathlib import Path

import lint
import pytest

BUILT = {folder: lint.build(folder) for folder in lint.kustomizations()}
MANIFESTS = {
    f"{folder.relative_to(lint.DEPLOY)}:{manifest['kind']}/{manifest['metadata']['name']}": manifest
    for folder, manifests in BUILT.items()
    for manifest in manifests
}

CPU = "kubernetes/overlays/cpu"
KAFKA = "kubernetes/overlays/kafka"
REMOVED = object()
# A manifest, the path of one of its values, what is put there, and what the message has to name.
FAULTS = [
    (f"{CPU}:Deployment/softcall", "spec template spec containers 0 imgae", "x", "imgae"),
    (f"{CPU}:Deployment/softcall", "spec template spec containers 0 ports 0 containerPort", "http", "http"),
    (f"{CPU}:Deployment/softcall", "spec selector", REMOVED, "selector"),
    (f"{CPU}:HorizontalPodAutoscaler/softcall", "spec maxReplicas", "ten", "ten"),
    (f"{CPU}:PodDisruptionBudget/softcall", "spec maxUnavailabel", 1, "maxUnavailabel"),
    (f"{CPU}:NetworkPolicy/softcall", "spec ingres", [], "ingres"),
    (f"{CPU}:Service/softcall", "kind", "Servise", "Servise"),
    (f"{KAFKA}:ScaledObject/softcall-kafka", "spec triggers 0 metadata lagThreshold", 1000, "1000"),
    (f"{KAFKA}:ScaledObject/softcall-kafka", "spec triggers 0 metadata consumergroup", "x", "consumergroup"),
    (f"{KAFKA}:ScaledObject/softcall-kafka", "spec scaleTargetRef name", REMOVED, "name"),
    ("knative:Service/softcall", "spec template spec containerConcurrency", -1, "-1"),
    ("knative:Service/softcall", "spec template spec hostNetwork", True, "hostNetwork"),
    ("knative:Service/softcall", "spec template spec containers 0 lifecycle", {}, "lifecycle"),
    (
        "knative:Service/softcall",
        "spec template spec containers 0 startupProbe failureTreshold",
        3,
        "failureTreshold",
    ),
    (
        "knative:Service/softcall",
        "spec template metadata annotations autoscaling.knative.dev/minScale",
        "0",
        "minScale",
    ),
    ("knative:Broker/softcall", "spec delivery backoffDelay", "1s", "1s"),
    ("knative:Broker/softcall", "spec delivery retries", 3, "retries"),
    ("knative:Trigger/softcall-classify", "spec subscriber", REMOVED, "subscriber"),
    ("knative:Trigger/softcall-classify", "spec filter attributes ceType", "x", "ceType"),
    ("knative:Trigger/softcall-files", "spec filters 0 any", REMOVED, "filters"),
    ("knative:SinkBinding/softcall", "spec subject name", REMOVED, "subject"),
    ("knative:KafkaSource/softcall", "spec topics", [], "[]"),
    ("knative:KafkaSource/softcall", "spec ordering", "strict", "strict"),
]


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_is_valid(name: str) -> None:
    lint.validate(MANIFESTS[name])


@pytest.mark.parametrize(("name", "path", "value", "named"), FAULTS, ids=lambda value: str(value)[:60])
def test_fault_is_refused_by_name(name: str, path: str, value: object, named: str) -> None:
    with pytest.raises(lint.Refused) as refusal:
        lint.validate(_with(MANIFESTS[name], path, value))

    assert named in str(refusal.value)


def test_every_schema_of_our_own_has_a_manifest_and_a_fault() -> None:
    kinds = {
        MANIFESTS[name]["apiVersion"].replace("/", "_") + "_" + MANIFESTS[name]["kind"] for name, *_ in FAULTS
    }

    schemas = {file.stem for file in (lint.HERE / "schemas").glob("*_*.yaml")}

    assert schemas and schemas <= kinds


def test_an_overlay_that_does_not_build_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]\n")

    with pytest.raises(lint.Refused, match=r"missing\.yaml"):
        lint.build(tmp_path)


@pytest.mark.parametrize("overlay", [CPU, KAFKA, "kubernetes/overlays/cuda"])
def test_pods_may_ask_for_names(overlay: str) -> None:
    """Kustomize adds the application's labels to selectors: not to the one that finds the cluster's DNS."""
    [policy] = [manifest for manifest in BUILT[lint.DEPLOY / overlay] if manifest["kind"] == "NetworkPolicy"]

    [dns] = [rule for rule in policy["spec"]["egress"] if rule["ports"][0]["port"] == 53]

    assert dns["to"][0]["podSelector"] == {
        "matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]
    }


def test_the_template_of_aws_is_valid() -> None:
    lint.sam(lint.TEMPLATE)


@pytest.mark.parametrize(
    ("whole", "fault", "named"),
    [
        ("FunctionResponseTypes: [Report", "FunctionResponsTypes: [Report", "FunctionResponsTypes"),
        ("BackoffRate: 2.0", "BackofRate: 2.0", "BackofRate"),
        ("StartAt: Classify", "StartAt: Clasify", "Clasify"),
        ("InputType: JSONL", "InputType: JSNL", "JSNL"),
        ("!GetAtt Requests.Arn", "!GetAtt Requets.Arn", "Requets"),
    ],
)
def test_faults_in_the_template_of_aws_are_refused(
    tmp_path: Path, whole: str, fault: str, named: str
) -> None:
    content = lint.TEMPLATE.read_text()
    assert whole in content
    template = tmp_path / "template.yaml"
    template.write_text(content.replace(whole, fault, 1))

    with pytest.raises(lint.Refused) as refusal:
        lint.sam(template)

    assert named in str(refusal.value)


@pytest.mark.parametrize("containerfile", lint.CONTAINERFILES, ids=lambda file: file.parent.name)
def test_container_file_is_valid_and_a_fault_in_it_is_not(containerfile: Path, tmp_path: Path) -> None:
    lint.hadolint(containerfile)

    broken = tmp_path / "Containerfile"
    broken.write_text(containerfile.read_text().replace("WORKDIR /app", "WORKDIR app"))

    with pytest.raises(lint.Refused, match="DL3000"):
        lint.hadolint(broken)


def _with(manifest: dict, path: str, value: object) -> dict:
    """The manifest with another value at the path, whose steps are parted by spaces."""
    changed = copy.deepcopy(manifest)
    *steps, last = path.split()
    at = changed
    for step in steps:
        at = at[int(step) if isinstance(at, list) else step]
    if value is REMOVED:
        del at[last]
    else:
        at[last] = value
    return changed
