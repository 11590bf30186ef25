"""Trustist's addresses, under trustist/: its API, and the page of it; and the control API's part, under control/."""

from django.urls import path, re_path

from truss_portal.sandbox import control_webhooks
from truss_portal.sandbox.faults import fallible
from truss_portal.sandbox.trustist import api, console, control
from truss_portal.sandbox.trustist.control import of_partner

# An id is any text, slashes included: who has no token is told so first.
_API = [
    path("trustist/token", fallible(api.TokenView.as_view())),
    path("trustist/invitations", fallible(api.InvitationListView.as_view())),
    path("trustist/invitations/<path:invitation_id>/merchant/keys", fallible(api.MerchantKeysView.as_view())),
    path("trustist/invitations/<path:invitation_id>", fallible(api.InvitationView.as_view())),
]

_CONSOLE = [
    path("trustist/", console.home, name="trustist"),
    *(
        path(f"trustist/console/<uuid:uid>/{button}", console.press, {"button": button}, name=f"trustist-{button}")
        for button in ("open", "complete", "change-key")
    ),
    re_path(r"^trustist/", fallible(api.NoSuchView.as_view())),
]

_INVITATION = "control/trustist/invitations/<uuid:uid>"
_CONTROL = [
    path("control/trustist/partner", of_partner(GET=control.get_partner_state, PATCH=control.change_partner)),
    path("control/trustist/tokens/revoke", of_partner(POST=control.revoke_tokens)),
    path(
        "control/trustist/invitations",
        of_partner(GET=control.list_invitations, POST=control.create_invitations),
    ),
    path(_INVITATION, of_partner(PATCH=control.change_invitation, DELETE=control.delete_invitation)),
    path(f"{_INVITATION}/send", of_partner(POST=control.send)),
    path(f"{_INVITATION}/open", of_partner(POST=control.open_invitation)),
    path(f"{_INVITATION}/complete", of_partner(POST=control.complete)),
    path(f"{_INVITATION}/change-key", of_partner(POST=control.change_key)),
    path(f"{_INVITATION}/pay", of_partner(POST=control.pay)),
    path("control/trustist/webhooks", of_partner(GET=control_webhooks.list_events, POST=control.send_event)),
    path("control/trustist/webhooks/waiting", of_partner(GET=control_webhooks.count_waiting)),
    path("control/trustist/webhooks/hold", of_partner(POST=control_webhooks.hold)),
    path("control/trustist/webhooks/release", of_partner(POST=control_webhooks.release)),
    path("control/trustist/webhooks/double", of_partner(POST=control_webhooks.double)),
    path("control/trustist/webhooks/lose", of_partner(POST=control_webhooks.lose)),
]

urlpatterns = [*_API, *_CONSOLE, *_CONTROL]
