"""Clients of others, as they are published, against this repository's server.

make test-clients
"""

import hashlib
import os
import shutil
import sys
import time

from bars import Bars
from local_server import ROOT, LocalServer
from openai import OpenAI, PermissionDeniedError
from openai.pagination import SyncCursorPage
from openai.types import Model

from softcall.stores.store import OBJECT

FOLDER = ROOT / "build/clients"
TASKS = FOLDER / "tasks"
SHIPPED = "banking77"
CUSTOMERS, TASKS_OF_EACH = ("acme", "beta"), 65  # more than a page of OpenAI's
KEYS = {"acme": "acme/*", "all": "*"}
PAGE = 7


def main() -> None:
    """List tasks in each way that OpenAI's client knows; ends with 1 where it is told something else."""
    names = write_tasks()
    settings = {}
    for name, pattern in KEYS.items():
        settings[f"SOFTCALL_HTTP_KEYS_{name.upper()}_SHA256"] = hashlib.sha256(name.encode()).hexdigest()
        settings[f"SOFTCALL_HTTP_KEYS_{name.upper()}_TASKS"] = pattern
    bars = Bars()
    with LocalServer(TASKS, FOLDER / "server.log", settings=settings) as server:
        for key, expected in (("all", names), ("acme", [name for name in names if name.startswith("acme/")])):
            client = OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)
            check_list(bars, client, key, expected)
            check_pages(bars, client, key, expected)
        check_retrieve(bars, client)
    sys.exit(0 if bars.hold else 1)


def write_tasks() -> list[str]:
    """Make the store: the shipped task under many names. Returns them in the order of a listing."""
    shutil.rmtree(TASKS, ignore_errors=True)
    names = [SHIPPED]
    names += [f"{customer}/{number:03}" for customer in CUSTOMERS for number in range(TASKS_OF_EACH)]
    for name in names:
        (TASKS / name).mkdir(parents=True)
        shutil.copyfile(ROOT / "tasks" / SHIPPED / OBJECT, TASKS / name / OBJECT)
    return sorted(names, key=lambda name: f"{name}/")


def check_list(bars: Bars, client: OpenAI, key: str, expected: list[str]) -> None:
    """`models.list()` takes one answer for all there is."""
    models = list(client.models.list())
    bars(
        f"models.list() with the key {key}: names that differ",
        differences([model.id for model in models], expected),
        f"{len(models)} of {len(expected)}",
    )
    now = time.time()
    old = [model.created for model in models if not now - 3600 < model.created <= now]
    bars(f"models.list() with the key {key}: wrong times", len(old), "created, in seconds")
    bars(
        f"models.list() with the key {key}: of another kind",
        sum(model.object != "model" or not model.owned_by for model in models),
        "object and owned_by",
    )


def check_pages(bars: Bars, client: OpenAI, key: str, expected: list[str]) -> None:
    """Cursors as the SDK follows them: `has_more`, and the last id as `after`."""
    page = client.get_api_list(
        "/models", model=Model, page=SyncCursorPage[Model], options={"params": {"limit": PAGE}}
    )
    pages = list(page.iter_pages())
    found = [model.id for each in pages for model in each.data]
    bars(
        f"pages of {PAGE} with the key {key}: names that differ",
        differences(found, expected),
        f"{len(pages)} pages",
    )


def check_retrieve(bars: Bars, client: OpenAI) -> None:
    """One model by its name, which holds a slash; another customer's is refused."""
    model = client.models.retrieve("acme/003")
    bars("models.retrieve(): another name", int(model.id != "acme/003"), model.id)
    bars("models.retrieve(): no time", int(not isinstance(model.created, int)), str(model.created))
    try:
        client.models.retrieve("beta/003")
        refused = False
    except PermissionDeniedError:
        refused = True
    bars("models.retrieve() of another's: answers", int(not refused), "403 is wanted")


def differences(found: list[str], expected: list[str]) -> int:
    """How many places differ."""
    return sum(a != b for a, b in zip(found, expected, strict=False)) + abs(len(found) - len(expected))


if __name__ == "__main__":
    for variable in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[variable]
    main()
