/**
 * Reads images and documents through an ocrmux server. {@link io.ocrmux.client.OcrMuxClient} is where to begin.
 *
 * <p>The answers are the generated messages of {@code io.ocrmux.ocr.v1}.
 */
package io.ocrmux.client;
