"""The Python face of the compiled data plane: ids, codec numbers, threads and sharding."""

from .codecs import CodecTable
from .ids import IdPool
from .shard import PlaneShard, PlaneShards

__all__ = ["CodecTable", "IdPool", "PlaneShard", "PlaneShards"]
