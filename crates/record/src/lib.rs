//! Run folders, metrics, manifests and hashes.
