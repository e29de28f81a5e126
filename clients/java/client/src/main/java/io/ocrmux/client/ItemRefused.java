package io.ocrmux.client;

import com.google.rpc.Status;

/** The client itself answers this item: its file cannot be read, or is over the server's limit. */
final class ItemRefused extends Exception {
  private static final long serialVersionUID = 1L;

  private final Status status;

  ItemRefused(Status status) {
    super(status.getMessage());
    this.status = status;
  }

  Status status() {
    return status;
  }
}
