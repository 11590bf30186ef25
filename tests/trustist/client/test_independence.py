"""The client stands alone: a script without Django can speak to Trustist."""

import subprocess
import sys


def test_the_client_imports_neither_django_nor_another_room_of_ours() -> None:
    code = """if True:
        import sys, truss_portal.trustist.client
        ours = [name for name in sys.modules if name.startswith("truss_portal.")]
        known = ("truss_portal.client", "truss_portal.trustist.client")
        others = [name for name in ours if not name.startswith(known) and name != "truss_portal.trustist"]
        print(others, "django" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("[] False\n", "")
