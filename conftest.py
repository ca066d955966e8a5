"""What the tests of all packages share."""

from importlib.util import find_spec

if find_spec("hypothesis") is not None:  # the stories have no need of it, nor does their environment
    from hypothesis import settings

    # How long an example takes tells of the machine and who else uses it; pytest's timeout ends what hangs.
    settings.register_profile("any machine", settings.default, deadline=None)
    settings.load_profile("any machine")
