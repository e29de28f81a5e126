"""The gateway's one way to Redis: bounded in time, out of use at once when Redis fails, in use again by itself.

Addresses, each also with ``rediss`` for TLS:

- ``redis://[user:password@]host[:port][/db]``: one server
- ``redis+cluster://[user:password@]host[:port][,host[:port]...]``: a cluster, found by any of the named nodes
- ``redis+sentinel://[user:password@]host[:port][,host[:port]...]/master-name[?db=0]``: the master that the sentinels
  name (their port is 26379 by default); the credentials are the master's

Everything that the ``redis`` package raises is translated here.
"""

from ocr_gateway.redis_link.link import RedisLink, RedisRefused, Script
from ocr_gateway.redis_link.nodes import RedisUnavailable

__all__ = ["RedisLink", "RedisRefused", "RedisUnavailable", "Script"]
