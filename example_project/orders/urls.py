from django.urls import path

from example_project.orders.views import CustomerView, OrderView

app_name = "orders"
urlpatterns = [
    path("customers/<uuid:key>/", CustomerView.as_view(), name="customer"),
    path("orders/<uuid:key>/", OrderView.as_view(), name="order"),
]
