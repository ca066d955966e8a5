"""python: adapters that are functions or classes in a file of yours, reloaded when it changes.

from mizzen.mixer.adapters.python import adapter

@adapter(template="metric")
def audit(metrics: Sequence[Metric]) -> None: ...
"""

from mizzen.mixer.adapters.python.declare import adapter
from mizzen.mixer.adapters.python.handler import ADAPTER

__all__ = ["ADAPTER", "adapter"]
