package io.ocrmux.client;

/** What to read. */
public enum Feature {
  /** Lines and words. */
  TEXT,
  /** Cells with row, column and spans. */
  TABLE,
  /** Named fields of identity cards, passports, business licences and bank cards. */
  ID_DOCUMENT;

  io.ocrmux.ocr.v1.Feature toProto() {
    return io.ocrmux.ocr.v1.Feature.valueOf("FEATURE_" + name());
  }
}
