"""Make the paths in settings absolute, so that a job finds them from any folder."""

from finkray.host.home import expanded
from finkray.settings.model import Settings
from finkray.storage.opening import absolute
from jobs.cluster.connect import Cluster


def placed(settings: Settings, cluster: Cluster) -> Settings:
    """Return the settings with absolute paths and the address of the cluster."""
    kafka, packets, archive, simulator, ray = (
        settings.kafka,
        settings.packets,
        settings.archive,
        settings.simulator,
        settings.ray,
    )
    return settings.model_copy(
        update={
            "kafka": kafka.model_copy(
                update={"sasl_password_file": _absolute(kafka.sasl_password_file)}
            ),
            "packets": packets.model_copy(
                update={
                    "schema_folder": _absolute(packets.schema_folder),
                    "registry_password_file": _absolute(packets.registry_password_file),
                    "bare": {topic: _absolute(path) for topic, path in packets.bare.items()},
                }
            ),
            "archive": archive.model_copy(update={"uri": absolute(archive).uri}),
            "catalogs": settings.catalogs.with_absolute_folder(),
            "simulator": simulator.model_copy(
                update={
                    name: _absolute(getattr(simulator, name))
                    for name in ("data", "manifest", "schema_folder")
                }
            ),
            "ray": ray.model_copy(
                update={"address": cluster.address, "working_dir": _absolute(ray.working_dir)}
            ),
        }
    )


def _absolute(path: str) -> str:
    return str(expanded(path).absolute()) if path else ""
