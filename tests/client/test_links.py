"""Addresses in the payment portal, as its guide writes them."""

import uuid
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import patient
from truss_portal.client import checkout_url, portal_url

UID = uuid.UUID("3dba9d05-bb20-423e-924e-4b19e50d6f3c")
PORTAL = "https://app.trusspayments.com"


def test_the_guides_own_example() -> None:
    assert checkout_url(PORTAL, "a1b2c3d4", UID) == f"{PORTAL}/pay/a1b2c3d4/paymentIntent/{UID}"
    assert (
        checkout_url(PORTAL, "a1b2c3d4", UID, "https://www.google.com")
        == f"{PORTAL}/pay/a1b2c3d4/paymentIntent/{UID}?redirect_uri=https%3A%2F%2Fwww.google.com"
    )
    assert portal_url(f"{PORTAL}/", "a1b2c3d4") == f"{PORTAL}/pay/a1b2c3d4"


def test_a_portal_may_live_under_a_prefix() -> None:
    assert portal_url("http://127.0.0.1:8000/sandbox", "k7").startswith("http://127.0.0.1:8000/sandbox/pay/k7")


@pytest.mark.parametrize("link", ["", ".", ".."])
def test_without_a_checkout_link_there_is_no_portal(link: str) -> None:
    for call in (lambda: portal_url(PORTAL, link), lambda: checkout_url(PORTAL, link, UID)):
        with pytest.raises(ValueError, match="no payment portal"):
            call()


def test_a_checkout_link_stays_one_part_of_the_path() -> None:
    assert portal_url(PORTAL, "a/../b?c#d") == f"{PORTAL}/pay/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize(
    ("redirect_uri", "problem"),
    [
        ("", "not an absolute"),
        ("/return/", "not an absolute"),
        ("http://shop.test/return/", "https://"),
        ("javascript:alert(1)", "not an absolute"),
        ("https://user@shop.test/", "user name"),
        ("https://shop.test/ x", "spaces"),
        ("https://shop.test/\n", "spaces"),
        ("https://shop.test/#top", "fragment"),
        ("https://", "not an absolute"),
        ("https://shop.test\\@evil.test/", "backslashes"),
        ("https://shop.test:port/", "Port"),
    ],
)
def test_return_addresses_that_would_block_the_checkout(redirect_uri: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        checkout_url(PORTAL, "k7", UID, redirect_uri)


@pytest.mark.parametrize("redirect_uri", ["https://shop.test", "http://127.0.0.1:8000/r/?t=1", "http://localhost/r/"])
def test_return_addresses_that_are_fine(redirect_uri: str) -> None:
    assert parse_qs(urlsplit(checkout_url(PORTAL, "k7", UID, redirect_uri)).query) == {"redirect_uri": [redirect_uri]}


@patient
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters="\\#"), max_size=40))
def test_any_query_survives(query: str) -> None:
    redirect_uri = f"https://shop.test/return/?t={query}"
    url = checkout_url(PORTAL, "k7", UID, redirect_uri)
    assert url.isascii()
    assert parse_qs(urlsplit(url).query) == {"redirect_uri": [redirect_uri]}
