from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("truss/", include("truss_portal.urls")),
    path("trustist/", include("truss_portal.trustist.urls")),
    path("sandbox/", include("truss_portal.sandbox.urls")),
]
