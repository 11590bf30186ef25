"""Install the built wheel into a project that has nothing else, by the README's steps, and use it.

python .ci/fresh_project.py dist/truss_portal-*.whl
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SETTINGS = """
INSTALLED_APPS += ["truss_portal"]
TRUSS_PORTAL = {"ENVIRONMENT": "local", "API_URL": "%s", "ACCESS_TOKEN": "sandbox-token"}
"""
URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("truss/", include("truss_portal.urls"))]
"""
JOURNEY = """
from truss_portal import actions
from truss_portal.models import PaymentIntent

intent = actions.draft(
    contact={"name": "Acme", "email": "ap@acme.test"}, total="120.00", addenda="INV-1001", reference="INV-1001"
)
actions.send(intent)
assert intent.delivery == "sent", intent.delivery_error
print(intent.checkout_url())
"""
PAID = """
from truss_portal.models import PaymentIntent
assert PaymentIntent.objects.get().status == "Paid"
from django.apps import apps
assert not [table for table in apps.get_models() if table._meta.app_label == "truss_sandbox"]
from django.utils import translation
with translation.override("es-mx"):
    assert translation.gettext("Copy checkout links") == "Copiar enlaces de pago", "the translations are in the wheel"
"""


def main(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "venv", with_pip=True)
        python = str(home / "venv" / "bin" / "python")

        def run(*command: str, ok: tuple[int, ...] = (0,)) -> str:
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
            print("$", " ".join(command[1:] if command[0] == python else command)[:200])
            print(done.stdout + done.stderr, end="")
            if done.returncode not in ok:
                raise SystemExit(f"exit status {done.returncode}, expected {ok}")
            return done.stdout

        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel))
        run(python, "-m", "django", "startproject", "site_of_mine", ".")
        sandbox = subprocess.Popen(  # noqa: S603
            [python, "-m", "truss_portal.sandbox", "--port", "0", "--database", str(home / "sandbox.sqlite3")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
        )
        try:
            assert sandbox.stdout is not None
            url = sandbox.stdout.readline().split()[-1]
            settings = home / "site_of_mine" / "settings.py"
            settings.write_text(settings.read_text() + SETTINGS % url)
            (home / "site_of_mine" / "urls.py").write_text(URLS)
            manage = (python, "-W", "error", "manage.py")
            run(*manage, "check")
            run(*manage, "migrate", "-v", "0")
            run(*manage, "makemigrations", "--check", "--dry-run")
            run(*manage, "shell", "-c", JOURNEY)
            pay = f"from truss_portal.testing.sandbox import Sandbox; import requests; base = {url!r}\n"
            pay += "uid = requests.get(base + '/control/payment-intents', timeout=5).json()[0]['uid']\n"
            pay += "requests.post(f'{base}/control/payment-intents/{uid}/pay', json={}, timeout=5).raise_for_status()"
            run(python, "-c", pay)
            run(*manage, "truss_sync")
            run(*manage, "truss_push", "--json")
            run(*manage, "shell", "-c", PAID)
        finally:
            sandbox.terminate()
            sandbox.wait(timeout=10)
    print("The wheel works in a fresh project.")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
