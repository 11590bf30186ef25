"""Django's own makemessages and compilemessages, on a copy: they must find the texts that we do, and object to none.

    python .ci/translations.py FOLDER

Needs GNU gettext, and the project's requirements for tests.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import polib

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from tests.messages import ROOMS, key  # noqa: E402

copy = Path(sys.argv[1])
shutil.copytree(HERE / "truss_portal", copy / "truss_portal")
for room in ROOMS:
    folder = copy / room.folder.relative_to(HERE)
    django = [sys.executable, "-m", "django"]
    for path in room.catalogs:
        language = path.parent.parent.name
        left_out = [argument for name in room.without for argument in ("--ignore", name)]
        subprocess.run(  # noqa: S603 - our own arguments
            [*django, "makemessages", "-l", language, "--no-location", "--no-obsolete", "--no-wrap", *left_out],
            cwd=folder,
            check=True,
        )
        found = polib.pofile(str(folder / path.relative_to(room.folder)))
        theirs, ours = {key(entry) for entry in found}, {key(entry) for entry in polib.pofile(str(path))}
        assert theirs == ours, theirs ^ ours
        assert not found.untranslated_entries(), found.untranslated_entries()
        assert not found.fuzzy_entries(), found.fuzzy_entries()
        subprocess.run([*django, "compilemessages", "-l", language], cwd=folder, check=True)  # noqa: S603 - as above
