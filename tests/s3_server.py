"""A real S3 server on this machine, for the tests that write to buckets or read from them."""

from contextlib import contextmanager


@contextmanager
def s3_server(*buckets):
    """Yield the storage options that reach it; its buckets are there, and empty."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "key": "an-id",
        "secret": "s3cr3t",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "eu-west-1"},
    }
    fs = s3fs.S3FileSystem(**options, skip_instance_cache=True)
    for bucket in buckets:
        if fs.exists(bucket):  # moto keeps what earlier servers of this process had
            fs.rm(bucket, recursive=True)
        fs.mkdir(bucket)
    try:
        yield options
    finally:
        server.stop()
