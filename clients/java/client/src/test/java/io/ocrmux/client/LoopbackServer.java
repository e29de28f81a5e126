package io.ocrmux.client;

import io.grpc.BindableService;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Services on a free loopback port, with health. */
final class LoopbackServer implements AutoCloseable {
  final HealthStatusManager health = new HealthStatusManager();
  final List<Metadata> metadata = new CopyOnWriteArrayList<>();
  private final Server server;

  static LoopbackServer of(BindableService... services) {
    return new LoopbackServer(InsecureServerCredentials.create(), 4 << 20, services);
  }

  LoopbackServer(ServerCredentials credentials, int maxMessageBytes, BindableService... services) {
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), credentials)
            .maxInboundMessageSize(maxMessageBytes)
            .intercept(new Listener())
            .addService(health.getHealthService());
    for (BindableService service : services) {
      builder.addService(service);
      health.setStatus(
          service.bindService().getServiceDescriptor().getName(),
          ServingStatus.SERVING);
    }
    try {
      server = builder.build().start();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  int port() {
    return server.getPort();
  }

  String target() {
    return "127.0.0.1:" + port();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  private final class Listener implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      if (!call.getMethodDescriptor().getFullMethodName().startsWith("grpc.health")) {
        metadata.add(headers);
      }
      return next.startCall(call, headers);
    }
  }
}
