"""The translations: whole, in step with the code, and such that nothing of them can break a page."""

import ast
import re
from pathlib import Path
from string import Formatter
from typing import Final

import django
import polib
import pytest
from django.utils import translation

from tests.messages import HERE, PLACEHOLDER, ROOMS, Room, Text, is_done, key, texts_in, texts_of

CATALOGS: Final = [(room, path) for room in ROOMS for path in room.catalogs]
NAMES: Final = [str(path.relative_to(HERE)) for _room, path in CATALOGS]
SPANISH: Final = ROOMS[0].folder / "locale" / "es" / "LC_MESSAGES" / "django.po"
MARKUP: Final = re.compile(r"</?\w+[^>]*>")
CALLS: Final = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "npgettext"}
every_catalog = pytest.mark.parametrize(("room", "path"), CATALOGS, ids=NAMES)


def catalog(path: Path) -> polib.POFile:
    return polib.pofile(str(path), wrapwidth=0)


def pairs(entry: polib.POEntry) -> list[tuple[str, str]]:
    """Each translation with the text that it is of. The first plural form is the one of 1."""
    if not entry.msgid_plural:
        return [(entry.msgid, entry.msgstr)]
    return [(entry.msgid if form == 0 else entry.msgid_plural, text) for form, text in entry.msgstr_plural.items()]


def test_there_is_a_spanish_one() -> None:
    assert SPANISH in [path for _room, path in CATALOGS]


# --- whole


@every_catalog
def test_nothing_is_untranslated_fuzzy_or_obsolete(room: Room, path: Path) -> None:
    assert [entry.msgid for entry in catalog(path) if not is_done(entry) or entry.obsolete] == []


@every_catalog
def test_it_has_just_the_texts_of_the_code(room: Room, path: Path) -> None:
    """Where this fails: `make messages`, and translate what it names."""
    known, wanted = {key(entry) for entry in catalog(path)}, set(texts_of(room))
    assert (sorted(map(str, wanted - known)), sorted(map(str, known - wanted))) == ([], [])


@every_catalog
def test_no_text_stands_there_twice(room: Room, path: Path) -> None:
    """As one with a plural and one without, which gettext can't tell apart."""
    looked_up = [(entry.msgctxt, entry.msgid) for entry in catalog(path)]
    assert len(looked_up) == len(set(looked_up))


@every_catalog
def test_it_has_the_plurals_of_its_language(room: Room, path: Path) -> None:
    forms = int(re.search(r"nplurals=(\d)", catalog(path).metadata["Plural-Forms"])[1])
    wrong = [entry.msgid for entry in catalog(path) if entry.msgid_plural and len(entry.msgstr_plural) != forms]
    assert wrong == []


@every_catalog
def test_it_is_compiled(room: Room, path: Path) -> None:
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    written = {(key(entry), tuple(pairs(entry))) for entry in catalog(path)}
    assert {(key(entry), tuple(pairs(entry))) for entry in compiled} == written


@every_catalog
def test_it_is_written_so_that_it_only_changes_where_texts_do(room: Room, path: Path) -> None:
    assert path.read_text() == f"{catalog(path)}\n".replace("\n\n\n", "\n\n").rstrip("\n") + "\n"
    assert not {"POT-Creation-Date", "PO-Revision-Date"} & catalog(path).metadata.keys()
    assert not any(entry.occurrences for entry in catalog(path))


# --- such that it can be filled in


@every_catalog
def test_placeholders_are_the_same(room: Room, path: Path) -> None:
    for entry in catalog(path):
        for text, translated in pairs(entry):
            assert sorted(PLACEHOLDER.findall(translated)) == sorted(PLACEHOLDER.findall(text)), translated


@every_catalog
def test_everything_can_be_filled_in(room: Room, path: Path) -> None:
    class Anything(dict):
        def __missing__(self, name: str) -> int:
            return 7

    for entry in catalog(path):
        for text, translated in pairs(entry):
            if PLACEHOLDER.search(text.replace("%%", "")) and "%" in text:
                # A lone percent sign in front of a letter would raise here, as it would on a page.
                assert translated % (Anything() if "%(" in text else tuple("7" * len(re.findall("%[sd]", text))))
            Formatter().parse(translated)


@every_catalog
def test_markup_and_edges_are_the_same(room: Room, path: Path) -> None:
    """No tag is lost, and none comes in: some of these are written into pages as they are."""
    for entry in catalog(path):
        for text, translated in pairs(entry):
            assert sorted(MARKUP.findall(translated)) == sorted(MARKUP.findall(text)), translated
            assert (translated[:1].isspace(), translated[-1:].isspace()) == (text[:1].isspace(), text[-1:].isspace())
            assert translated.count("\n") == text.count("\n"), translated


@every_catalog
def test_what_is_not_a_word_stays(room: Room, path: Path) -> None:
    """Commands, settings and addresses are typed as they stand."""
    as_is = re.compile(
        r"manage\.py \w+|trus\w*_[a-z]+|TRUSTIST|TRUSS_PORTAL|[A-Z]+_[A-Z_]+|https?://\S+|\d{4}-\d\d-\d\d|1,?234\.50"
    )
    for entry in catalog(path):
        for text, translated in pairs(entry):
            assert sorted(as_is.findall(translated)) == sorted(as_is.findall(text)), translated


@every_catalog
def test_django_is_not_given_other_words_for_its_own_texts(room: Room, path: Path) -> None:
    """A text that Django has, too, has one translation on a site: that of the app that is listed first."""
    language = path.parent.parent.name
    own = Path(django.__file__).parent
    theirs = {}
    for part in (own / "conf", own / "contrib" / "admin", own / "contrib" / "auth"):
        for name in ("django.po", "djangojs.po"):
            their_path = part / "locale" / language / "LC_MESSAGES" / name
            if their_path.exists():
                theirs |= {(e.msgctxt, e.msgid): e.msgstr for e in catalog(their_path) if not e.obsolete}
    differing = {
        entry.msgid: (entry.msgstr, theirs[entry.msgctxt, entry.msgid])
        for entry in catalog(path)
        if theirs.get((entry.msgctxt, entry.msgid), entry.msgstr) not in {entry.msgstr, ""}
    }
    assert differing == {}


def test_apps_of_ours_have_the_same_words_for_the_same_text() -> None:
    """They end up in one place: that of the app that is listed first would do for both."""
    said: dict[tuple[str, Text], list[tuple[str, str]]] = {}
    for _room, path in CATALOGS:
        for entry in catalog(path):
            shared = path.parent.parent.name, key(entry)
            assert said.setdefault(shared, pairs(entry)) == pairs(entry)


# --- in step with the code


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [node for node in found if node.func.id in CALLS]  # type: ignore[attr-defined]


PYTHON: Final = [path for room in ROOMS for path in room.files() if path.suffix == ".py"]
LOOKED_UP: Final = {"plain_words.py", "exceptions.py"}
"""Where a text is looked up that is marked elsewhere: with `gettext_noop`."""


def test_every_text_in_the_code_is_found() -> None:
    """A text in an f-string, or under another name of gettext's, is found by no program."""
    for path in PYTHON:
        given = {
            arg.value
            for call in calls(path)
            for arg in call.args[: 2 if call.func.id.startswith(("n", "p")) else 1]  # type: ignore[attr-defined]
            if isinstance(arg, ast.Constant)
        }
        found = {text for each in texts_in(path) for text in (each.context, each.text, each.plural) if text}
        assert given == found, path


def test_every_text_stands_in_the_code_as_it_is() -> None:
    """`_(text)` and `_(f"…")` can't be translated."""
    for path in PYTHON:
        if path.name not in LOOKED_UP:
            assert all(isinstance(call.args[0], ast.Constant) for call in calls(path)), path


def test_gettext_has_its_usual_names() -> None:
    usual = CALLS | {"override", "get_language", "activate", "to_locale"}
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
                assert {name.asname or name.name for name in node.names} <= usual, path


def test_templates_have_no_text_of_their_own() -> None:
    """All that people read in a template is marked. What is left without it are addresses, names and signs."""
    parts = r"comment.*?endcomment", r"blocktrans.*?endblocktrans\w*", r"block bodyclass.*?endblock"
    unmarked = re.compile("|".join([*(rf"{{%\s*{it}\s*%}}" for it in parts), r"<(style|script).*?</\1>"]), re.DOTALL)
    for path in (path for room in ROOMS for path in room.files() if path.suffix == ".html"):
        text = re.sub(r"{[%{#].*?[%}#]}", " ", unmarked.sub(" ", path.read_text()))
        spoken = re.findall(r'\b(?:title|alt|aria-label|placeholder|label)="([^"]*[A-Za-z][^"]*)"', text)
        left = re.sub(r"&\w+;|<[^>]*>", " ", text)
        assert [*spoken, *re.findall(r"[A-Za-z]{2,}", left)] == [], path


@pytest.mark.parametrize("code", ["es", "es-mx", "es-us"])
def test_spanish_is_there_for_everybody_who_reads_it(code: str) -> None:
    with translation.override(code):
        assert translation.gettext("Copy checkout links") == "Copiar enlaces de pago"
        assert translation.ngettext("%(count)s payment", "%(count)s payments", 1) == "%(count)s pago"
        assert translation.ngettext("%(count)s payment", "%(count)s payments", 1_000_000) == "%(count)s pagos"


def test_text_is_read_from_templates_and_code(tmp_path: Path) -> None:
    template = tmp_path / "page.html"
    template.write_text(
        '{% load i18n %}<p title="{% translate "One" %}">  don\'t\n   {% blocktranslate count n=n %}{{ n }} bird'
        '{% plural %}{{ n }} birds{% endblocktranslate %}\n{{ who|default:_("nobody") }}'
        '{% translate "May" context "month" %}'
    )
    assert list(texts_in(template)) == [
        Text(None, "One", None),
        Text(None, "%(n)s bird", "%(n)s birds"),
        Text(None, "nobody", None),
        Text("month", "May", None),
    ]
