"""Makes pages fit for recognition: raw files in, normalised pages out, with the way back."""

import rpc_runtime  # noqa: F401 - before grpc: it sets what grpc reads when it is imported
