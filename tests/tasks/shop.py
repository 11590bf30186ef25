"""A page of the site's own that sells something, as one would write it: for ROOT_URLCONF."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests import make
from truss_portal import actions


def sell(request: HttpRequest) -> HttpResponse:
    intent = make.draft()
    actions.send(intent)
    if "fail" in request.GET:
        raise ValueError("The shop is closed.")
    return HttpResponse(intent.delivery)


urlpatterns = [path("sell/", sell)]
