package io.ocrmux.client;

import java.time.Duration;

/**
 * A break of a stream that is about to be mended.
 *
 * @param failures in a row, this one included
 * @param pause until the next try
 * @param cause what broke the stream
 */
public record Reconnect(int failures, Duration pause, OcrMuxException cause) {}
