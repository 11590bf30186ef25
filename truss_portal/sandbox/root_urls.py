"""The sandbox as a whole site."""

from django.urls import include, path

urlpatterns = [path("", include("truss_portal.sandbox.urls"))]
