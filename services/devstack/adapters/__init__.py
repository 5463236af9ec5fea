"""Child processes, ports and downloads of the embedded stack."""
