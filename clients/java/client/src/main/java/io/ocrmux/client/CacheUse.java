package io.ocrmux.client;

import io.ocrmux.ocr.v1.CachePolicy;

/** How the server's cache is used. */
public enum CacheUse {
  /** Look, and keep what is new. */
  USE,
  /** Ask the provider whatever the cache holds, and keep the new result. */
  REFRESH,
  /** Neither look nor keep. */
  BYPASS;

  CachePolicy toProto() {
    return CachePolicy.valueOf("CACHE_POLICY_" + name());
  }
}
