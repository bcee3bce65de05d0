"""Files from elsewhere on this machine's disk: verified, kept, found again."""
