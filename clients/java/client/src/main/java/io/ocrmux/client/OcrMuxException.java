package io.ocrmux.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.ocrmux.ocr.v1.PageAnswer;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/** A call or an item failed. */
public final class OcrMuxException extends RuntimeException {

  /** Reason of an item whose file cannot be read here. */
  public static final String SOURCE_UNREADABLE = "SOURCE_UNREADABLE";

  /** Reason of an item, or a stream, whose connections were lost. */
  public static final String CONNECTION_LOST = "CONNECTION_LOST";

  /** Reason of a stream whose server broke the protocol. */
  public static final String PROTOCOL_BROKEN = "PROTOCOL_BROKEN";

  private static final long serialVersionUID = 1L;
  private static final String DOMAIN = "ocrmux";
  private static final String WITHOUT_MESSAGE = "the server gave no message";
  private static final Metadata.Key<byte[]> STATUS_DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private final com.google.rpc.Status details;
  private final ErrorInfo info;
  private final Duration retryAfter;

  private OcrMuxException(com.google.rpc.Status details, ErrorInfo info, Throwable cause) {
    super(told(details, info), cause);
    this.details = details;
    this.info = info;
    this.retryAfter =
        detail(details, RetryInfo.class, RetryInfo::hasRetryDelay)
            .map(retry -> Durations.fromProto(retry.getRetryDelay()))
            .orElse(null);
  }

  OcrMuxException(Status.Code code, String reason, String message) {
    this(status(code, reason, message, Map.of()));
  }

  /** The error that a {@code google.rpc.Status} tells; details of other kinds stand in {@link #details}. */
  public OcrMuxException(com.google.rpc.Status details) {
    this(details, ourInfo(details), null);
  }

  /** The error of an answer, or empty where it has a document. */
  public static Optional<OcrMuxException> of(PageAnswer answer) {
    return answer.hasError() ? Optional.of(new OcrMuxException(answer.getError())) : Optional.empty();
  }

  /** The error that ended a call, with the details that the server sent in its trailers. */
  static OcrMuxException ofCall(Throwable thrown) {
    if (thrown instanceof OcrMuxException ours) {
      return ours;
    }
    Status ending = Status.fromThrowable(thrown);
    com.google.rpc.Status details = inTrailers(Status.trailersFromThrowable(thrown), ending).orElse(null);
    if (details == null) {
      String message = FailureCause.described(ending).orElse(WITHOUT_MESSAGE);
      details = status(ending.getCode(), "", message, Map.of());
    }
    return new OcrMuxException(details, ourInfo(details), thrown);
  }

  /** A Status with an ErrorInfo where there is a reason, for what the client itself has to answer. */
  static com.google.rpc.Status status(
      Status.Code code, String reason, String message, Map<String, String> metadata) {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage(message);
    if (!reason.isEmpty()) {
      status.addDetails(
          Any.pack(ErrorInfo.newBuilder().setReason(reason).setDomain(DOMAIN).putAllMetadata(metadata).build()));
    }
    return status.build();
  }

  /** The gRPC code. */
  public Status.Code code() {
    return Status.fromCodeValue(details.getCode()).getCode();
  }

  /** The stable reason of the contract; empty where the failure came from below the services. */
  public String reason() {
    return info.getReason();
  }

  /** A sentence for people, without code and reason, which {@link #getMessage} puts before it. */
  public String description() {
    return details.getMessage();
  }

  /** Figures by name, such as {@code limit} and {@code value}. */
  public Map<String, String> metadata() {
    return info.getMetadataMap();
  }

  /** When the server wants to be asked again, from now. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** All that the server said. */
  public com.google.rpc.Status details() {
    return details;
  }

  private static String told(com.google.rpc.Status details, ErrorInfo info) {
    String code = Status.fromCodeValue(details.getCode()).getCode().name();
    return code + (info.getReason().isEmpty() ? "" : " " + info.getReason()) + ": " + details.getMessage();
  }

  private static Optional<com.google.rpc.Status> inTrailers(Metadata trailers, Status ending) {
    byte[] packed = trailers == null ? null : trailers.get(STATUS_DETAILS);
    if (packed == null) {
      return Optional.empty();
    }
    try {
      com.google.rpc.Status details = com.google.rpc.Status.parseFrom(packed);
      return details.getCode() == ending.getCode().value() ? Optional.of(details) : Optional.empty();
    } catch (InvalidProtocolBufferException proxysOwn) {
      return Optional.empty();
    }
  }

  /** A reason counts in the services' own domain only: proxies have theirs. */
  private static ErrorInfo ourInfo(com.google.rpc.Status status) {
    return detail(status, ErrorInfo.class, info -> info.getDomain().equals(DOMAIN))
        .orElse(ErrorInfo.getDefaultInstance());
  }

  private static <T extends com.google.protobuf.Message> Optional<T> detail(
      com.google.rpc.Status status, Class<T> kind, Predicate<T> isWanted) {
    for (Any packed : status.getDetailsList()) {
      try {
        T detail = packed.is(kind) ? packed.unpack(kind) : null;
        if (detail != null && isWanted.test(detail)) {
          return Optional.of(detail);
        }
      } catch (InvalidProtocolBufferException unreadable) {
        // it stands in the details as it came
      }
    }
    return Optional.empty();
  }
}
