"""`finkray start mymodule:Bright`: from what was said to what is started."""

from dataclasses import replace
from pathlib import Path

from finkray.errors import ServiceError, SettingsError
from finkray.serving.run import limits_of, spec_of
from finkray.serving.worker import Worker
from finkray.settings.model import Settings
from finkray.storage.hours import utc
from jobs.cluster.ray_jobs import Daemon, ServiceJob
from jobs.commands.archives import archive_of
from jobs.commands.launch import StartRequest


def order_of(settings: Settings, user: ServiceJob, order: StartRequest) -> StartRequest:
    """The order for a service that a user wrote; what is wrong with it is said now.

    Parameters
    ----------
    settings
        All settings.
    user
        What was said of the service.
    order
        The rest of what was said.

    Raises
    ------
    ServiceError
        It cannot be loaded.
    SettingsError
        There is no archive, or `since` is no time.
    """
    archive_of(settings)
    if user.since is not None:
        try:
            utc(user.since)
        except ValueError as error:
            raise SettingsError(f"--from: {error}") from error
    spec = spec_of(user.spec, Path(user.folder))
    name = user.into or Worker(spec, limits_of(settings)).describe().name
    if name in list(Daemon):
        raise ServiceError(f"{name} is a service of finkray: give yours another name")
    return replace(order, service=name, user=user)
