"""State of the hub: SQL through SQLAlchemy Core, blobs in an object store, the audit chain."""
