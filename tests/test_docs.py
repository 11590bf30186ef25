"""The documentation names everything that is there, and points at nothing that isn't."""

import pkgutil
import re
from pathlib import Path

import pytest

import truss_portal
from truss_portal.conf import DEFAULTS
from truss_portal.models import PaymentIntent
from truss_portal.sandbox import conf as sandbox_conf
from truss_portal.sandbox import faults
from truss_portal.timeline import SIGNALS
from truss_portal.trustist import conf as trustist_conf
from truss_portal.trustist.models import Invitation, MerchantKey

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
APP = Path(truss_portal.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
COMMANDS = sorted(path.stem for path in ROOT.glob("**/management/commands/tru*_*.py") if ".venv" not in path.parts)
CHECK_IDS = sorted(
    {found for path in APP.rglob("checks.py") for found in re.findall(r'id="([\w.]+)"', path.read_text())}
)
ROOMS = sorted(module.name for module in pkgutil.iter_modules([str(APP)]))

MARKDOWN_TARGET = re.compile(r"\]\(([^)\s]+)\)")
DIRECTIVE_TARGET = re.compile(r"^```\{(?:image|include)\} (\S+)", re.MULTILINE)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)


def read(page: str) -> str:
    return (ROOT / page).read_text()


def test_there_is_something_to_look_for():
    assert {"truss_sync", "truss_push", "truss_sandbox", "truss_demo"} <= set(COMMANDS)
    assert {"truss_portal.E001", "truss_sandbox.W001", "truss_trustist.E001"} <= set(CHECK_IDS)
    assert {"client", "mirror", "actions"} <= set(ROOMS)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_in_the_reference_and_in_the_readme(command):
    assert f"\n## {command}\n" in read("docs/reference/commands.md")
    assert f"\n| `{command}` |" in read("README.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_commands_are_in_the_reference(command):
    [source] = [path for path in ROOT.glob(f"**/management/commands/{command}.py") if ".venv" not in path.parts]
    _before, _heading, after = read("docs/reference/commands.md").partition(f"\n## {command}\n")
    section = after.partition("\n## ")[0]
    options = re.findall(r'add_argument\(\s*"(--[\w-]+)"', source.read_text())
    assert options
    assert [option for option in options if f"`{option}" not in section] == []


@pytest.mark.parametrize("key", DEFAULTS)
def test_settings_are_in_the_reference(key):
    assert re.search(rf"^\| `{key}` \|", read("docs/reference/settings.md"), re.MULTILINE)


def test_no_setting_is_in_the_reference_that_does_not_exist():
    named = re.findall(r"^\| `([A-Z_]+)` \|", read("docs/reference/settings.md"), re.MULTILINE)
    assert sorted(named) == sorted(DEFAULTS)


def test_the_sandbox_page_has_its_settings_and_faults():
    page = read("docs/reference/sandbox.md")
    assert [name for name in (*sandbox_conf.DEFAULTS, *faults.KINDS) if f"`{name}`" not in page] == []


def test_the_page_of_trustist_has_its_settings_columns_and_permissions():
    page = read("docs/reference/trustist.md")
    named = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert sorted(named) == sorted(trustist_conf.DEFAULTS)
    for model in (Invitation, MerchantKey):
        columns = [field.name for field in model._meta.concrete_fields if field.name != "id"]
        assert [name for name in columns if f"`{name}`" not in page] == []
        assert [name for name, _text in model._meta.permissions if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("check_id", CHECK_IDS)
def test_checks_are_in_the_reference(check_id):
    assert f"| `{check_id}` |" in read("docs/reference/checks.md")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_on_the_map(room):
    assert f"`truss_portal.{room}`" in read("docs/explanation/package-map.md")


def test_the_map_has_the_layers_of_the_import_linter():
    contract = re.search(r'^type = "layers"\nlayers = \[(.*?)^\]', read("pyproject.toml"), re.MULTILINE | re.DOTALL)
    assert contract
    layers = [layer.replace("truss_portal.", "") for layer in re.findall(r'"([^"]+)"', contract[1])]
    assert "\n```text\n" + "\n".join(layers) + "\n```\n" in read("docs/explanation/package-map.md")


def test_signals_permissions_and_columns_are_in_the_reference():
    import truss_portal.signals

    python, models, permissions = (read(f"docs/reference/{page}.md") for page in ("python", "models", "permissions"))
    names = {name for name, signal in vars(truss_portal.signals).items() if signal in SIGNALS.values()}
    assert len(names) == len(SIGNALS)
    assert [name for name in names if f"| `{name}` |" not in python] == []
    columns = [field.name for field in PaymentIntent._meta.concrete_fields if field.name != "id"]
    assert [name for name in columns if f"`{name}`" not in models] == []
    assert [name for name, _text in PaymentIntent._meta.permissions if f"| `{name}` |" not in permissions] == []


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_points_at_exists(document):
    text = document.read_text()
    targets = [*MARKDOWN_TARGET.findall(text), *DIRECTIVE_TARGET.findall(text)]
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    for toctree in TOCTREE.findall(text):
        local += [f"{line}.md" for line in toctree.split("\n") if line and not line.startswith(":")]
    assert [target for target in local if not (document.parent / target).is_file()] == []
