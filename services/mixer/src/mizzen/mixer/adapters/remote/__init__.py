"""remote: adapters in processes of their own, called over gRPC as Istio calls them."""

from mizzen.mixer.adapters.remote.adapter import ADAPTER
from mizzen.mixer.adapters.remote.registration import params_of

__all__ = ["ADAPTER", "params_of"]
