"""A site that installs only `truss_portal` has no Trustist table, menu, setting, command or import."""

import subprocess
import sys

SITE = """
import sys, tempfile, django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", USE_TZ=True, ROOT_URLCONF="__main__", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.messages", "django.contrib.sessions", "truss_portal"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request",
                               "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"]}}],
    STATIC_URL="static/",
)
django.setup()
from django.contrib import admin
from django.core.management import call_command, get_commands
from django.db import connection
from django.test import Client
from django.urls import include, path
urlpatterns = [path("admin/", admin.site.urls), path("truss/", include("truss_portal.urls"))]
call_command("migrate", verbosity=0)
call_command("check", fail_level="ERROR")
call_command("truss_roles", stdout=sys.stderr)
from django.contrib.auth.models import Permission, User
import truss_portal.tasks
boss = Client()
boss.force_login(User.objects.create_superuser("boss"))
menu = boss.get("/admin/")
assert menu.status_code == 200 and "Truss payments" in menu.content.decode()
assert "rustist" not in menu.content.decode()
assert not [name for name in connection.introspection.table_names() if "trustist" in name]
assert not Permission.objects.filter(content_type__app_label="truss_trustist").exists()
assert not [name for name in get_commands() if "trustist" in name]
from truss_portal import sealed_columns
assert all(column.model._meta.app_label == "truss_portal" for column in sealed_columns.columns())
loaded = [name for name in sys.modules if name.startswith("truss_portal.trustist")]
assert not loaded, loaded
print("clean")
"""


def test_a_site_without_it_has_no_trace_of_it():
    ended = subprocess.run([sys.executable, "-c", SITE], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout.strip().splitlines()[-1:]) == (0, ["clean"]), ended.stderr
