from django.apps import apps
from django.contrib import admin
from django.urls import include, path

from example_project.orders.views import HomeView

admin.site.site_header = admin.site.site_title = "Harbor Street Supply"

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("", include("example_project.orders.urls")),
    path("admin/", admin.site.urls),
    path("truss/", include("truss_portal.urls")),
    path("trustist/", include("truss_portal.trustist.urls")),
]
if apps.is_installed("truss_portal.sandbox"):
    urlpatterns.append(path("sandbox/", include("truss_portal.sandbox.urls")))
