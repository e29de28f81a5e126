package io.ocrmux.client;

import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a target says about where it is. */
final class TargetAddress {
  private static final Pattern SCHEME = Pattern.compile("^(dns|ipv4|ipv6|passthrough):(//(?<asked>[^/]*)/|/*)");
  private static final Pattern LOOPBACK =
      Pattern.compile("localhost|127(\\.(\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])){3}|\\[::1]|::1");
  private static final Pattern PORT = Pattern.compile(":\\d{1,5}$");

  private TargetAddress() {}

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
