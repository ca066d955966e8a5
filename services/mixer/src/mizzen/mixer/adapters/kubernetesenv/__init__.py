"""kubernetesenv: what is known of the pods behind a request, as attributes."""

from mizzen.mixer.adapters.kubernetesenv.adapter import ADAPTER

__all__ = ["ADAPTER"]
