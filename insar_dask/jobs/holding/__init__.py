"""One driver a store: a lock on a disk, a lease in a bucket, and whose they are."""
