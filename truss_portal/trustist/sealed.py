"""The column that holds merchants' keys, so that `truss_reencrypt` and `truss_check` know of it."""

from typing import Final

from truss_portal.sealed_columns import SealedColumn
from truss_portal.trustist.models import MerchantKey
from truss_portal.trustist.models.merchant_key import what

MERCHANT_KEY: Final = SealedColumn(MerchantKey, "sealed", what, ("invitation",))
