package io.ocrmux.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;

/**
 * A certificate of localhost that signed itself, made by the JDK's keytool.
 *
 * @param chain PEM
 * @param key PEM, PKCS #8
 */
record TestCertificate(Path chain, Path key) {
  private static final String PASSWORD = "changeit";

  static TestCertificate make(Path folder) throws IOException {
    Path store = folder.resolve("store.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair", "-alias", "test", "-keyalg", "EC", "-dname", "CN=localhost",
                "-ext", "san=dns:localhost,ip:127.0.0.1", "-ext", "bc=ca:true", "-validity", "2",
                "-storetype", "PKCS12", "-keystore", store.toString(), "-storepass", PASSWORD)
            .redirectErrorStream(true)
            .start();
    try (InputStream said = keytool.getInputStream()) {
      String words = new String(said.readAllBytes(), java.nio.charset.Charset.defaultCharset());
      if (keytool.waitFor() != 0) {
        throw new IOException(words);
      }
      KeyStore made = KeyStore.getInstance(store.toFile(), PASSWORD.toCharArray());
      return new TestCertificate(
          pem(folder.resolve("chain.pem"), "CERTIFICATE", made.getCertificate("test").getEncoded()),
          pem(folder.resolve("key.pem"), "PRIVATE KEY", made.getKey("test", PASSWORD.toCharArray()).getEncoded()));
    } catch (GeneralSecurityException error) {
      throw new UncheckedIOException(new IOException(error));
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new IOException(interrupted);
    }
  }

  private static Path pem(Path file, String kind, byte[] der) throws IOException {
    String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
    return Files.writeString(file, "-----BEGIN " + kind + "-----\n" + body + "\n-----END " + kind + "-----\n");
  }
}
