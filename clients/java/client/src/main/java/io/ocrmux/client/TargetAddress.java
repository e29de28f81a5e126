package io.ocrmux.client;

import io.grpc.NameResolverRegistry;
import java.util.Arrays;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a target says about where it is. */
final class TargetAddress {
  private static final Pattern SCHEME = Pattern.compile("^(dns|ipv4|ipv6|passthrough):(//(?<asked>[^/]*)/|/*)");
  private static final Pattern LOOPBACK =
      Pattern.compile("localhost|127(\\.(\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])){3}|\\[::1]|::1");
  private static final Pattern PORT = Pattern.compile(":\\d{1,5}$");

  private static final Pattern SCHEME_OF_URL = Pattern.compile("^([A-Za-z][A-Za-z0-9+.-]*)://");

  /** Of gRPC's naming; what this gRPC has no resolver for, it refuses in its own words. */
  private static final Set<String> SCHEMES_OF_GRPC = Set.of("dns", "unix", "ipv4", "ipv6", "xds", "passthrough");

  private TargetAddress() {}

  /** Throws IllegalArgumentException for {@code http://ocr:50051} and all else of a scheme that gRPC does not know. */
  static void requireNoUrl(String target) {
    Matcher url = SCHEME_OF_URL.matcher(target);
    if (!url.find() || SCHEMES_OF_GRPC.contains(url.group(1).toLowerCase(Locale.ROOT))) {
      return;
    }
    if (NameResolverRegistry.getDefaultRegistry().getProviderForScheme(url.group(1)) == null) {
      throw new IllegalArgumentException(
          "a target is HOST:PORT, or a name that gRPC resolves, not a URL: '" + target + "'");
    }
  }

  /** Whether all addresses of the target are this machine's own; false where that is not plain from its text. */
  static boolean isLoopback(String target) {
    if (target.startsWith("unix:")) {
      return true;
    }
    Matcher scheme = SCHEME.matcher(target);
    if (scheme.find() && scheme.group("asked") != null && !scheme.group("asked").isEmpty()) {
      return false; // what a name server of the target's says of a name is not plain
    }
    String addresses = scheme.replaceFirst("");
    return Arrays.stream(addresses.split(",", -1))
        .map(address -> address.equals("::1") ? address : PORT.matcher(address).replaceFirst(""))
        .allMatch(host -> LOOPBACK.matcher(host).matches());
  }
}
