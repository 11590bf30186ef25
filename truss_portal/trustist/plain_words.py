"""What Trustist's client says, and our own exceptions' default messages: for `truss_portal.plain_words` to know."""

from typing import Final

from django.utils.translation import gettext_noop

RULES: Final = (gettext_noop("must be an invitation's id"),)

CAUSES: Final = (
    gettext_noop("Trustist couldn't be asked, or didn't do what was asked."),
    gettext_noop("Trustist refused the request."),
    gettext_noop(
        "Trustist doesn't let us in, even with a new access token: the client has been closed, or it has no permission "
        "for this. Ask Trustist."
    ),
    gettext_noop("Trustist doesn't allow this to our client. Ask Trustist."),
    gettext_noop("Trustist has nothing at this address: the id belongs to another partner or environment."),
    gettext_noop("Trustist knows this address but not this method on it: is our address of it right?"),
    gettext_noop("Trustist asks for fewer requests. Nothing was done; try again later."),
    gettext_noop("Trustist has asked us to slow down, so nothing was asked now; try again later."),
    gettext_noop("Trustist could not be reached. Nothing was sent; try again later."),
    gettext_noop("Trustist was asked but its answer didn't arrive, so it is not known whether it was done."),
    gettext_noop("Trustist failed while it worked on the request, so it is not known whether it was done."),
    gettext_noop("Trustist's answer can't be understood, so it is not known whether it was done."),
    gettext_noop("Trustist's answer can't be used: %(problem)s."),
    gettext_noop("Trustist's answer is longer than %(limit)s bytes."),
    gettext_noop("Trustist's answer broke off: %(problem)s"),
    gettext_noop("Trustist sent us to another address, which is not followed: is the configured address right?"),
    gettext_noop("Trustist refused to give a token: %(problem)s"),
)

OUR_SIDE: Final = (
    gettext_noop("TRUSTIST has no CLIENT_ID and CLIENT_SECRET: ask Trustist for them."),
    gettext_noop("Another sync with Trustist is running."),
    gettext_noop("This email has been invited before."),
)

TEXTS: Final = (*RULES, *CAUSES, *OUR_SIDE)
