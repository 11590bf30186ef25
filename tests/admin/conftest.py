"""Fixtures for the tests of the admin: people with permissions, signed in."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

SignIn = Callable[..., Client]


@pytest.fixture
def signed_in(db: None) -> SignIn:
    """Signs in a staff user with exactly these permissions, such as "view_paymentintent"."""

    def sign_in(*permissions: str, username: str = "finance") -> Client:
        user = User.objects.create_user(username, is_staff=True)
        found = Permission.objects.filter(content_type__app_label="truss_portal", codename__in=permissions)
        assert found.count() == len(permissions)
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser, signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client
