"""Turns a servicer into a running, observable, stoppable gRPC process. Knows nothing of OCR."""
