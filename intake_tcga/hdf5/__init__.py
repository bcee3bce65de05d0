"""HDF5 files from elsewhere: judged, described, and read chunk by chunk, from disk or by ranges."""
