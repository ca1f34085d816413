"""Settings `[ray]`: the cluster that everything runs on."""

import re

from pydantic import ByteSize, Field, PositiveFloat, field_validator

from finkray.settings.section import MiB, Section


class RaySettings(Section):
    """The Ray cluster that all jobs run on."""

    address: str = Field(
        "auto",
        min_length=1,
        description="`auto`: the cluster that RAY_ADDRESS names, else a local one that finkray "
        "starts; `local`: always the local one; or `host:port` of a head",
    )
    namespace: str = Field("finkray", min_length=1, description="Ray namespace of the named actors")
    working_dir: str = Field(
        "",
        description="Folder with the code that Ray ships to its nodes; empty if finkray is "
        "installed on all of them",
    )
    stop_wait_s: PositiveFloat = Field(
        80.0,
        description="Seconds in which a job must drain and end before Ray kills it; the archive "
        "needs 75 at most; the page gets 30 in any case",
    )
    local_cpus: int = Field(
        0, ge=0, description="Ray CPUs of the local cluster; 0 takes all of the machine"
    )
    local_object_store_bytes: ByteSize = Field(
        ByteSize(1024 * MiB),
        ge=128 * MiB,
        description="Size of the object store of the local cluster",
    )
    local_dashboard_port: int = Field(
        8265,
        ge=0,
        le=65535,
        description="Port of the local cluster's dashboard; if it is in use, any free port",
    )

    @field_validator("address")
    @classmethod
    def _address_is_of_a_head(cls, address: str) -> str:
        if address not in ("auto", "local") and not re.fullmatch(r"[^/\s]+:\d+", address):
            raise ValueError('expected "auto", "local" or host:port, such as "127.0.0.1:6379"')
        return address
