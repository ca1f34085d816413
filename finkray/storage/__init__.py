"""Storage of an archive: the contract with file systems, and the names and layout of files."""
