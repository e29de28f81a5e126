package io.ocrmux.client;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Whom the client trusts, and who it is. All files are PEM and are read at once.
 *
 * @param roots certificates that a server's must lead to; empty: the system's
 * @param identity the client's own, for mutual TLS; empty: none
 */
public record Tls(Optional<Pem> roots, Optional<Identity> identity) {

  /**
   * The content of a PEM file. Its bytes are not shown.
   *
   * @param bytes as they stand in the file; not copied
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Pem(byte[] bytes) {
    @Override
    public String toString() {
      return "Pem[" + bytes.length + " bytes]";
    }
  }

  /**
   * A client's own certificate.
   *
   * @param certificateChain its own first
   * @param privateKey in PKCS #8 ("BEGIN PRIVATE KEY"), not encrypted
   */
  public record Identity(Pem certificateChain, Pem privateKey) {}

  /** The system's roots, and no certificate of the client's own. */
  public static Tls systemRoots() {
    return new Tls(Optional.empty(), Optional.empty());
  }

  /** The certificates of this file instead of the system's. Throws IOException, which names the file and why. */
  public static Tls caFile(Path pem) throws IOException {
    return ca(read("the CA file", pem));
  }

  /** These certificates instead of the system's. */
  public static Tls ca(byte[] pem) {
    return new Tls(Optional.of(new Pem(pem)), Optional.empty());
  }

  /** The same trust, and a certificate of the client's own. Throws IOException, which names the file and why. */
  public Tls withIdentity(Path certificateChainPem, Path privateKeyPem) throws IOException {
    return withIdentity(
        read("the client's certificate", certificateChainPem), read("the client's private key", privateKeyPem));
  }

  /** The same trust, and a certificate of the client's own, whose key is PKCS #8 and not encrypted. */
  public Tls withIdentity(byte[] certificateChainPem, byte[] privateKeyPem) {
    return new Tls(roots, Optional.of(new Identity(new Pem(certificateChainPem), new Pem(privateKeyPem))));
  }

  /** Throws IllegalArgumentException where there is no certificate or key in the PEM. */
  ChannelCredentials credentials() {
    TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
    try {
      if (roots.isPresent()) {
        credentials.trustManager(stream(roots.get()));
      }
      if (identity.isPresent()) {
        credentials.keyManager(stream(identity.get().certificateChain()), stream(identity.get().privateKey()));
      }
    } catch (IOException unreadable) {
      throw new IllegalArgumentException("the certificates cannot be read", unreadable);
    }
    return credentials.build();
  }

  private static byte[] read(String name, Path file) throws IOException {
    try {
      return Files.readAllBytes(file);
    } catch (IOException unreadable) {
      throw new IOException(name + " " + file + " cannot be read: " + UnreadableFile.reason(unreadable), unreadable);
    }
  }

  private static ByteArrayInputStream stream(Pem pem) {
    return new ByteArrayInputStream(pem.bytes());
  }
}
