package io.ocrmux.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.ManagedChannelRegistry;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Makes the channels of a client: limits, keepalive, round robin over replicas that are healthy, metadata. */
final class Channels {
  private static final int RECEIVE_MAX_BYTES = 64 << 20;
  private static final long KEEPALIVE_S = 60;
  private static final long KEEPALIVE_TIMEOUT_S = 20;

  private Channels() {}

  /**
   * A channel to all addresses of the target; where a service is named, only those are used whose health says that it
   * serves. Throws IllegalArgumentException for a target or certificates that gRPC can make no sense of.
   */
  static ManagedChannel open(String target, Optional<Tls> tls, Metadata metadata, Optional<String> service) {
    ChannelCredentials credentials = tls.map(Tls::credentials).orElseGet(InsecureChannelCredentials::create);
    return builder(AddressListResolver.resolvable(target), credentials)
        .defaultServiceConfig(serviceConfig(service))
        .maxInboundMessageSize(RECEIVE_MAX_BYTES)
        .keepAliveTime(KEEPALIVE_S, TimeUnit.SECONDS)
        .keepAliveTimeout(KEEPALIVE_TIMEOUT_S, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(false)
        .disableRetry() // the client knows better what may be sent again
        .intercept(MetadataUtils.newAttachHeadersInterceptor(metadata))
        .build();
  }

  private static Map<String, ?> serviceConfig(Optional<String> service) {
    Map<String, Object> config = new HashMap<>();
    config.put("loadBalancingConfig", List.of(Map.of("round_robin", Map.of())));
    service.ifPresent(name -> config.put("healthCheckConfig", Map.of("serviceName", name)));
    return config;
  }

  private static ManagedChannelBuilder<?> builder(String target, ChannelCredentials credentials) {
    try {
      return Grpc.newChannelBuilder(target, credentials);
    } catch (ManagedChannelRegistry.ProviderNotFoundException unusable) {
      String message = "the target or the certificates cannot be used: " + unusable.getMessage();
      throw new IllegalArgumentException(message, unusable);
    }
  }
}
