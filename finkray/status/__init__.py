"""Status snapshots of the archive and of services, and the Ray actors that publish them."""
