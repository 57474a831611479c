"""Chunk jobs: one task per shard, done when its receipt says so, resumable after any kill."""
