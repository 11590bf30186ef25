from django.urls import path

from truss_portal.views import ReturnView

app_name = "truss_portal"
urlpatterns = [
    path("return/", ReturnView.as_view(), name="return"),
]
