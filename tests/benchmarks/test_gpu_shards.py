from tests.benchmarks import gpu_shards


def test_what_others_do_beside_the_gpu_is_counted_once():
    spans = [("here", 0.0, 1.0), ("there", 1.0, 3.0), ("here", 2.0, 4.0), ("here", 2.5, 5.0), ("there", 4.5, 6.0)]
    assert gpu_shards.overlap(spans) == (3.5, 1.5)


def test_shards_are_measured_from_store_to_store():
    """On the processor, which takes the same ways through a task; nobody is beside whoever has the only shard."""
    (row,) = gpu_shards.shard_rows(300, "cpu", (2,))
    assert row["seconds"] > 0
    assert row["share"] == 0.0
    assert not row["bar"]
