"""`mizzen-registrar`: Docker's containers into the registry folder."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial

from mizzen.pilot.ingest.registry.compose.docker import Docker, DockerError
from mizzen.pilot.ingest.registry.compose.registrar import Registrar
from mizzen.pilot.ingest.registry.compose.settings import Settings, read_settings
from mizzen.pilot.ingest.registry.folder import RegistryFolder
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle, run
from mizzen.runtime.logs import set_up


async def serve(settings: Settings, lifecycle: Lifecycle) -> None:
    """The life of the process; raises StartError when Docker cannot be asked or the folder not be written."""
    folder = RegistryFolder(settings.registry_dir)
    async with Docker(settings.docker_socket) as docker:
        try:
            folder.adopt()
            project = settings.project or await docker.project_of(settings.container)
        except (DockerError, OSError) as error:
            raise StartError(str(error)) from error
        running = asyncio.create_task(Registrar(docker, project, folder).run())
        stopping = asyncio.create_task(lifecycle.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            running.result()  # it only ends by an error
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def main() -> None:
    """Run the registrar; exits with its status."""
    settings = read_settings(sys.argv[1:], os.environ)
    set_up(settings.log_level)
    sys.exit(run(partial(serve, settings)))


if __name__ == "__main__":
    main()
