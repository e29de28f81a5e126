"""Turns a servicer into a running, observable, stoppable gRPC process. Knows nothing of OCR."""

import os

# No process here goes on with gRPC after a fork; its handlers would only complain of each program that is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
