package io.ocrmux.client;

/** Which identity document a page shows. */
public enum IdDocument {
  /** A resident identity card, either side. */
  IDENTITY_CARD,
  /** A business licence. */
  BUSINESS_LICENCE,
  /** A bank card. */
  BANK_CARD,
  /** A passport's data page, or another document with a machine-readable zone. */
  PASSPORT;

  io.ocrmux.ocr.v1.IdDocument toProto() {
    return io.ocrmux.ocr.v1.IdDocument.valueOf("ID_DOCUMENT_" + name());
  }
}
