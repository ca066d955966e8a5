"""`mizzen apply`: put configuration into the mesh."""

from __future__ import annotations

from mizzen.cli.commands.options import Files, Namespace


def apply(files: Files, namespace: Namespace = "default") -> None:
    """Create or change resources; when one of them is wrong, none is applied.

    While the mesh is up, this ends when Pilot uses them, with what of them has no effect.
    """
    from mizzen.api.kubernetes import Deployment
    from mizzen.cli.checked import checked
    from mizzen.cli.compose.project import read_project
    from mizzen.cli.errors import UserError
    from mizzen.cli.findings import findings
    from mizzen.cli.local.access import config_home
    from mizzen.cli.local.desired import pod_templates
    from mizzen.cli.local.home import Home
    from mizzen.cli.mesh import is_up
    from mizzen.cli.output import say, warn
    from mizzen.cli.store import ConfigStore

    home = config_home(Home.locate())
    store = ConfigStore(home.config)
    parsed = checked(files, namespace, store.read())
    resources = parsed.resources
    for resource, outcome in store.write(resources):
        say(f"{resource.kind.lower()}/{resource.metadata.name} {outcome}")
    compose = read_project(home)
    for template in pod_templates(item for item in resources if isinstance(item.spec, Deployment)).values():
        complaint = f"what runs is in {compose.file}" if compose is not None else template.complaint
        if complaint:
            warn(f"warning: Deployment {template.namespace}/{template.deployment} does not run: {complaint}")
    if not is_up(home):
        warn("The mesh is down; this takes effect at the next `mizzen up`.")
        return
    try:
        for finding in findings(resources, parsed.problems):
            warn(finding)
    except UserError as error:
        warn(f"Applied, but: {error}")
