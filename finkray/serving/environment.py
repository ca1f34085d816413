"""Make the environment of a service's child process: only a list of allowed variables.

The process that starts the child has the broker's logins, tokens and all other variables of the
operator's shell. The name of a variable does not show whether it is a secret (`DATABASE_URL` has a
login in its value), so only variables that programs need to run are passed, and those that the
operator names. This keeps secrets from code that reads its environment by accident or prints it.
It is not a security boundary: the child runs as the same user, and on Linux a process may read the
environment of another process of that user.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import finkray
from finkray.settings.reader import SECRET_NAME

_ALLOWED: Final = frozenset(
    (
        # How programs and libraries are found.
        *("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"),
        "JAVA_HOME",
        # User, language, time zone and folders.
        *("HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TEMP", "TMP"),
        # Certificates, which requests to the web need.
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_PROXY"),
        "no_proxy",
    )
)

_ALLOWED_PREFIX: Final = re.compile(
    "LC_|XDG_|PYTHON|OMP_|OPENBLAS_|MKL_|BLIS_|NUMEXPR_|NUMBA_|ARROW_|POLARS_|CUDA_|MALLOC_"
)
"""Families of variables that tune the interpreter and numerical libraries."""

_ONE_THREAD: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "ARROW_IO_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Set to 1: a service scales by processes, so threads in each would only compete for cores."""


def child_environment(
    environment: Mapping[str, str], pass_env: Sequence[str] = ()
) -> dict[str, str]:
    """Return the environment of a child process.

    Parameters
    ----------
    environment
        of the process that starts the child
    pass_env
        names of further variables to pass
    """
    passed = {
        name: value for name, value in environment.items() if name in pass_env or _is_allowed(name)
    }
    # Where Ray has unpacked finkray, it is not installed.
    folders = [
        str(Path(finkray.__file__).parents[1]),
        *filter(None, [environment.get("PYTHONPATH")]),
    ]
    own = {"PYTHONPATH": os.pathsep.join(folders)}
    return {**dict.fromkeys(_ONE_THREAD, "1"), **passed, **own}


def _is_allowed(name: str) -> bool:
    if name in _ALLOWED:
        return True
    return bool(_ALLOWED_PREFIX.match(name)) and not SECRET_NAME.search(name)
