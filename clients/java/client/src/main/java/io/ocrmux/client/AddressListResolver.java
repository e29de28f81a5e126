package io.ocrmux.client;

import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.StatusOr;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Resolves the schemes {@code ipv4} and {@code ipv6} of gRPC's naming, which gRPC for Java leaves out: numeric
 * addresses with their ports, parted by commas, as {@code ipv4:10.0.0.1:50051,10.0.0.2:50051}.
 */
final class AddressListResolver extends NameResolver {
  private static final Pattern SCHEME = Pattern.compile("^ipv[46]:/*");
  private static final Pattern ADDRESS =
      Pattern.compile("(?<host>\\d{1,3}(\\.\\d{1,3}){3}|\\[[0-9A-Fa-f:.]+]):(?<port>\\d{1,5})");

  private final String authority;
  private final List<EquivalentAddressGroup> groups;

  private AddressListResolver(String addresses) {
    String[] each = addresses.split(",", -1);
    this.authority = each[0];
    this.groups = Stream.of(each).map(AddressListResolver::parsed).map(EquivalentAddressGroup::new).toList();
  }

  /**
   * The target as gRPC can look it up, the schemes made known to it where the target has one of them. Throws
   * IllegalArgumentException for addresses that are none.
   */
  static String resolvable(String target) {
    Matcher scheme = SCHEME.matcher(target);
    if (!scheme.find()) {
      return target;
    }
    String addresses = target.substring(scheme.end());
    for (String address : addresses.split(",", -1)) {
      parsed(address);
    }
    Registered.once();
    return target.substring(0, 5) + addresses.replace("[", "%5B").replace("]", "%5D");
  }

  @Override
  public String getServiceAuthority() {
    return authority;
  }

  @Override
  public void start(Listener2 listener) {
    listener.onResult(ResolutionResult.newBuilder().setAddressesOrError(StatusOr.fromValue(groups)).build());
  }

  @Override
  public void shutdown() {}

  private static InetSocketAddress parsed(String address) {
    Matcher match = ADDRESS.matcher(address);
    if (!match.matches()) {
      throw new IllegalArgumentException("a numeric address and its port were wanted, not '" + address + "'");
    }
    try {
      return new InetSocketAddress(InetAddress.getByName(match.group("host")), Integer.parseInt(match.group("port")));
    } catch (UnknownHostException error) {
      throw new IllegalArgumentException("'" + address + "' is no address", error);
    }
  }

  /** Of gRPC's registry, which is one for the whole program. */
  private static final class Registered {
    static {
      NameResolverRegistry.getDefaultRegistry().register(new Provider("ipv4"));
      NameResolverRegistry.getDefaultRegistry().register(new Provider("ipv6"));
    }

    static void once() {}
  }

  private static final class Provider extends NameResolverProvider {
    private final String scheme;

    Provider(String scheme) {
      this.scheme = scheme;
    }

    @Override
    public String getDefaultScheme() {
      return scheme;
    }

    @Override
    public NameResolver newNameResolver(URI target, NameResolver.Args args) {
      return scheme.equals(target.getScheme()) ? new AddressListResolver(target.getSchemeSpecificPart()) : null;
    }

    @Override
    protected boolean isAvailable() {
      return true;
    }

    @Override
    protected int priority() {
      return 1; // a program's own provider of the scheme goes first
    }
  }
}
