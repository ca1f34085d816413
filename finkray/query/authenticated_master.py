"""Start RayDP's app master behind a Py4J gateway that requires a token.

RayDP's master actor (`raydp.spark.ray_cluster_master.RayDPSparkMaster`, 1.6.5) starts the JVM of
the app master with `org.apache.spark.deploy.raydp.AppMasterEntryPoint`. Its Py4J gateway executes
the commands of every client that reaches its loopback port, so every user of the machine could run
Java code as the archive's user. This module starts the JVM with Py4J's own `GatewayServer
--enable-auth` instead: the JVM generates a token, passes it to its parent alone (on its standard
output), and closes each connection that does not begin with the token. The bridge that RayDP's
entry point would return is an ordinary class, and is created through the gateway.

What RayDP would have to change: `GatewayServerBuilder.authToken` in `AppMasterEntryPoint`, with
the token beside the port in the connection file, and `GatewayParameters(auth_token=…)` in
`_launch_gateway`.
"""

import os
import shlex
import sys
from typing import Any

MASTER_PROPERTY = "-Dfinkray.process=raydp-app-master"
"""Marks the JVM of the app master on its command line."""


def use_authenticated_master() -> None:
    """Make `raydp.init_spark` in this process start a master whose gateway requires a token."""
    import raydp.spark.ray_cluster as cluster

    cluster.RayDPSparkMaster = _authenticated_master()


def _authenticated_master() -> Any:
    import ray
    from raydp.spark.ray_cluster_master import RayDPSparkMaster

    class AuthenticatedSparkMaster(RayDPSparkMaster.__ray_metadata__.modified_class):
        """RayDP's master, with another way to start its JVM."""

        def _launch_gateway(self, class_path: str, popen_kwargs: Any = None) -> Any:
            if popen_kwargs:
                raise TypeError(f"the gateway's process takes no such arguments: {popen_kwargs}")
            return launch_gateway(class_path, self._configs)

    return ray.remote(AuthenticatedSparkMaster)


def launch_gateway(class_path: str, configs: dict[str, str]) -> Any:
    """Start the JVM of the app master and return the authenticated gateway to it.

    Parameters
    ----------
    class_path
        the class path, as RayDP assembles it
    configs
        Spark's properties; those that RayDP reads for the command line are read here too

    Returns
    -------
    py4j.java_gateway.JavaGateway
        whose entry point is like RayDP's, and whose process is ``proc``
    """
    import ray
    from py4j import java_gateway
    from raydp import versions
    from raydp.spark import ray_cluster_master as raydp_master

    logs = ray._private.worker._global_node.get_logs_dir_path()  # noqa: SLF001 - as RayDP asks
    log4j_factory = raydp_master.SPARK_RAY_LOG4J_FACTORY_CLASS_KEY
    log4j_file = configs[raydp_master.RAY_LOG4J_CONFIG_FILE_NAME]
    options = [
        *shlex.split(configs.get(raydp_master.RAYDP_APPMASTER_EXTRA_JAVA_OPTIONS, "")),
        *shlex.split(os.environ.get("JAVA_OPTS", "")),
        MASTER_PROPERTY,
        f"-javaagent:{configs[raydp_master.SPARK_JAVAAGENT]}",
        f"-Dray.logging.dir={logs}",
        f"-D{log4j_factory}={configs[log4j_factory]}",
        f"-D{versions.RAY_LOG4J_CONFIG_FILE_NAME_KEY}={log4j_file}",
    ]
    # Py4J puts "its jar" in front. It must be what RayDP's class path begins with, or the JVM's
    # class data (finkray.host.jvm_class_data) would not fit; Py4J itself is among Spark's jars.
    first_jar, _, others = class_path.partition(os.pathsep)
    port, token, process = java_gateway.launch_gateway(
        jarpath=first_jar,
        classpath=others,
        javaopts=options,
        die_on_exit=True,
        redirect_stdout=sys.stdout,
        redirect_stderr=sys.stderr,
        create_new_process_group=True,
        enable_auth=True,
        return_proc=True,
    )
    gateway = java_gateway.JavaGateway(
        gateway_parameters=java_gateway.GatewayParameters(
            port=port, auth_token=token, auto_convert=True
        )
    )
    gateway.proc = process
    gateway.entry_point = _EntryPoint(gateway)
    return gateway


class _EntryPoint:
    """The part of RayDP's entry point that its master uses."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    def getAppMasterBridge(self) -> Any:  # noqa: N802 - RayDP's name
        """Make the bridge to the app master."""
        return self._gateway.jvm.org.apache.spark.deploy.raydp.AppMasterJavaBridge()
