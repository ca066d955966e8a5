"""Makes `engine_support` and the reference implementations importable for the tests of this folder."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "reference"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
