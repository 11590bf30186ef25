from django.urls import path

from truss_portal.trustist.views import WebhookView

app_name = "truss_trustist"
urlpatterns = [path("webhook/<str:token>/", WebhookView.as_view(), name="webhook")]
