from django.urls import path

from truss_portal.connect_views import ConnectedView, ConnectView
from truss_portal.views import ReturnView, WebhookView

app_name = "truss_portal"
urlpatterns = [
    path("connect/", ConnectView.as_view(), name="connect"),
    path("connected/", ConnectedView.as_view(), name="connected"),
    path("return/", ReturnView.as_view(), name="return"),
    path("webhook/<slug:company>/", WebhookView.as_view(), name="webhook"),
]
