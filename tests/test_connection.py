"""Which company is meant, and whether this site can speak for it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests import make
from tests.joined import connected, renewals, settings_for
from truss_portal import actions
from truss_portal.connection import companies, connect, default_company
from truss_portal.encryption import new_key
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company, Operation
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def oauth(truss: Sandbox, settings: Any) -> Iterator[Sandbox]:
    """The pretend Truss, for a site without a fixed token."""
    settings.TRUSS_PORTAL = settings_for(truss)
    return truss


def why_not(company: Company) -> str:
    with pytest.raises(NotConnectedError) as caught:
        connect(company)
    return str(caught.value)


class TestSpeakingForACompany:
    def test_by_its_own_connection(self, oauth: Sandbox) -> None:
        row = connected(oauth)
        with connect(row.company) as client:
            assert client.fetch_company().checkout_link_id == "sandbox"
        assert renewals(oauth) == 0

    def test_its_own_connection_goes_before_the_fixed_token(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings_for(truss, ACCESS_TOKEN="fixed-and-wrong")
        row = connected(truss, make.company(slug="default"))
        with connect(row.company) as client:
            client.fetch_company()

    def test_two_companies_side_by_side_never_mix(self, oauth: Sandbox) -> None:
        bolt_at_truss = Sandbox.at(oauth.url, company="bolt")
        acme, bolt = connected(oauth).company, connected(bolt_at_truss, make.company(slug="bolt")).company
        [of_acme] = oauth.create_many(1, addenda="Of Acme")
        [of_bolt] = bolt_at_truss.create_many(1, addenda="Of Bolt")
        for company, uid in ((acme, of_acme), (bolt, of_bolt)):
            with connect(company) as client:
                [page] = client.list_payment_intents()
            assert [str(intent.uid) for intent in page.payment_intents] == [uid]

    def test_one_that_is_not_connected_is_told_the_next_step(self, oauth: Sandbox, settings: Any) -> None:
        acme, default = make.company(slug="acme", name="Acme"), make.company(slug="default")
        assert "open its page in the admin, under “Companies”, and choose “Connect to Truss”" in why_not(acme)
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        assert why_not(acme).startswith("Acme isn't connected to Truss. Ask Truss for a client ID and a client secret")
        assert why_not(default) == 'default has no access token: set TRUSS_PORTAL["ACCESS_TOKEN"].'

    def test_sandbox_and_production_never_mix(self, oauth: Sandbox, settings: Any) -> None:
        row = connected(oauth)
        settings.TRUSS_PORTAL |= {"ENVIRONMENT": "production", "API_URL": "https://api.example"}
        assert "sandbox and production never mix" in why_not(row.company)
        assert companies() == []
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "production"}
        row.company.environment = "production"
        assert 'TRUSS_PORTAL["API_URL"] is not set' in why_not(row.company)

    @pytest.mark.django_db(transaction=True)
    def test_a_token_that_no_key_opens_is_named_with_its_company_and_the_remedy(
        self, oauth: Sandbox, settings: Any
    ) -> None:
        row = connected(oauth)
        settings.SECRET_KEY = new_key()
        text = why_not(row.company)
        assert text.startswith("The access token of Acme can't be decrypted")
        assert "SECRET_KEY_FALLBACKS" in text
        assert "connect the company again" in text
        operation = actions.send(make.draft(company=row.company))
        assert (operation.state, operation.error) == (Operation.State.QUEUED, text)

    @pytest.mark.django_db(transaction=True)
    def test_not_inside_a_transaction(self, oauth: Sandbox) -> None:
        company = connected(oauth).company
        with transaction.atomic(), pytest.raises(RuntimeError):
            connect(company)


class TestTheCompanyThatIsMeant:
    def test_with_a_fixed_token_it_is_made_by_itself(self, truss: Sandbox) -> None:
        assert (default_company().slug, default_company().environment) == ("default", "local")
        assert companies() == [default_company()]

    def test_the_only_connected_one_needs_no_name(self, oauth: Sandbox) -> None:
        row = connected(oauth)
        assert default_company() == row.company
        assert make.draft().company == row.company

    def test_one_of_another_environment_is_not_meant(self, oauth: Sandbox) -> None:
        make.company(slug="default", environment="production")
        row = connected(oauth)
        assert default_company() == row.company

    def test_of_several_one_must_be_named(self, oauth: Sandbox) -> None:
        connected(oauth)
        connected(Sandbox.at(oauth.url, company="bolt"), make.company(slug="bolt"))
        with pytest.raises(NotConnectedError, match="name the one that you mean"):
            default_company()
        default = make.company(slug="default")
        assert default_company() == default

    def test_without_any_the_next_step_is_told(self, oauth: Sandbox) -> None:
        with pytest.raises(NotConnectedError, match="connect one in the admin"):
            default_company()

    def test_one_that_was_never_connected_is_worked_for_only_where_something_waits(self, oauth: Sandbox) -> None:
        row = connected(oauth)
        other = make.company(slug="other")
        assert companies() == [row.company]
        actions.send(make.draft(company=other), wait=False)
        assert companies() == [row.company, other]
