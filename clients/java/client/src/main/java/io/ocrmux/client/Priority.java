package io.ocrmux.client;

/** Who goes first when items wait for one provider. Lower ones are never starved. */
public enum Priority {
  /** Work that may wait, such as an archive being read. */
  LOW,
  /** The usual. */
  NORMAL,
  /** A person waits for it. */
  HIGH;

  io.ocrmux.ocr.v1.Priority toProto() {
    return io.ocrmux.ocr.v1.Priority.valueOf("PRIORITY_" + name());
  }
}
