/** Programs that use the client, to be run and copied. */
package io.ocrmux.examples;
