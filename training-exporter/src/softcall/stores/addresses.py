"""Opens the store of an address. Another kind of store is a module beside this one, and a branch here."""

from softcall.core.errors import SoftcallError
from softcall.stores.store import Store


def open_store(address: str, endpoint_url: str | None = None) -> Store:
    """Return the store at `address`; `endpoint_url` is for S3-compatible servers other than AWS."""
    # Each kind of store is imported on demand, because importing boto3 takes half a second.
    if address.startswith("s3:"):
        from softcall.stores.s3_store import S3Store

        return S3Store.open(address, endpoint_url)
    if endpoint_url is not None:
        raise SoftcallError(f"store {address}: an endpoint URL is only for s3:// stores")
    if address.startswith("file:"):
        from softcall.stores.file_store import FileStore

        return FileStore.open(address)
    raise SoftcallError(f"store {address!r}: expected s3://bucket/prefix or file:/dir")
