/** The driver that runs the conformance scenarios of {@code tests/conformance} with the Java client. */
package io.ocrmux.conformance;
