package ocrmux

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// Reasons that this client gives by itself, besides those of the contract (ocrv1.ErrorReason without its prefix).
const (
	// ReasonSourceUnreadable: NOT_FOUND, the file of an item cannot be read here.
	ReasonSourceUnreadable = "SOURCE_UNREADABLE"
	// ReasonConnectionLost: UNAVAILABLE, the connection was lost as often as an item may be sent, or the server was silent.
	ReasonConnectionLost = "CONNECTION_LOST"
	// ReasonProtocolBroken: the server did not keep the protocol.
	ReasonProtocolBroken = "PROTOCOL_BROKEN"
)

const (
	errorDomain          = "ocrmux"
	reasonTooLarge       = "IMAGE_TOO_LARGE_BYTES"
	reasonServerBusy     = "SERVER_BUSY"
	reasonDraining       = "DRAINING"
	reasonContentWanted  = "CONTENT_REQUIRED"
	noMessageFromServer  = "the server gave no message"
	deadlineEndedMessage = "the time limit ended"
)

// ErrUsage is wrapped by errors of the caller: options that contradict each other, a token without TLS, two items of one
// id. Nothing of it comes from a server.
var ErrUsage = errors.New("ocrmux: wrong use")

// Error is a call that failed, or an item's error in an answer (see ErrorOf).
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Reason is the stable reason of the contract; empty where the failure came from below the services (no connection,
	// a proxy).
	Reason string
	// Message is for people.
	Message string
	// Metadata has figures by name, such as "limit" and "value"; may be nil.
	Metadata map[string]string
	// RetryAfter is when the server wants to be asked again; 0 where it does not say.
	RetryAfter time.Duration
	// Details is the google.rpc.Status whole, with BadRequest, QuotaFailure and the like where they apply.
	Details *rpcstatus.Status

	cause error
}

// Error gives code, reason and message in one line.
func (e *Error) Error() string {
	name := codeName(e.Code)
	if e.Reason != "" {
		name += " " + e.Reason
	}
	return name + ": " + e.Message
}

// Unwrap gives context.Canceled or context.DeadlineExceeded where the caller's context, its time limit or Close ended the
// call, else nil.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus lets status.FromError and status.Code read the error.
func (e *Error) GRPCStatus() *status.Status {
	if e.Details != nil && e.Details.GetCode() == int32(e.Code) {
		return status.FromProto(e.Details)
	}
	return status.New(e.Code, e.Message)
}

// ErrorOf gives the error that an answer tells, or nil if the page was read. It is an *Error: do not return a nil one
// as an error.
func ErrorOf(answer *Answer) *Error {
	if answer.GetError() == nil {
		return nil
	}
	return errorFromStatus(answer.GetError())
}

func newError(code codes.Code, reason, format string, args ...any) *Error {
	return errorFromStatus(itemStatus(code, reason, fmt.Sprintf(format, args...), nil))
}

// errorFromStatus leaves details that it does not know to Error.Details. A reason counts in the services' domain only.
func errorFromStatus(told *rpcstatus.Status) *Error {
	failure := &Error{Code: codes.Unknown, Message: told.GetMessage(), Details: told}
	if _, known := code.Code_name[told.GetCode()]; known {
		failure.Code = codes.Code(told.GetCode())
	}
	for _, packed := range told.GetDetails() {
		detail, err := packed.UnmarshalNew()
		if err != nil {
			continue
		}
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == errorDomain {
				failure.Reason, failure.Metadata = detail.GetReason(), maps.Clone(detail.GetMetadata())
			}
		case *errdetails.RetryInfo:
			failure.RetryAfter = max(0, detail.GetRetryDelay().AsDuration())
		}
	}
	return failure
}

// errorFromRPC is the error that ended a call.
func errorFromRPC(err error) *Error {
	var failure *Error
	if errors.As(err, &failure) {
		return failure
	}
	told := status.Convert(err).Proto()
	if told.GetMessage() == "" {
		told.Message = noMessageFromServer
	}
	failure = errorFromStatus(told)
	if failure.Code == codes.DeadlineExceeded && failure.Reason == "" {
		failure.cause = context.DeadlineExceeded // the call carries the context's deadline: both ends may be first to see it
	}
	return failure
}

// errorFromContext is the error of a call whose context has ended.
func errorFromContext(ctx context.Context) *Error {
	failure := newError(codes.Canceled, "", "%v", context.Cause(ctx))
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		failure = newError(codes.DeadlineExceeded, "", deadlineEndedMessage)
	}
	failure.cause = ctx.Err()
	return failure
}

// itemStatus is a Status for an item that the client itself has to answer; without a reason it has no ErrorInfo.
func itemStatus(code codes.Code, reason, message string, metadata map[string]string) *rpcstatus.Status {
	told := &rpcstatus.Status{Code: int32(code), Message: message}
	if reason != "" {
		info := &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: metadata}
		if packed, err := anypb.New(info); err == nil {
			told.Details = []*anypb.Any{packed}
		}
	}
	return told
}

func codeName(number codes.Code) string {
	return code.Code(int32(number)).String()
}

// passing says whether the same call may succeed later. CANCELLED is a server that stopped: what was cancelled here never
// gets here.
func (e *Error) passing() bool {
	switch e.Code {
	case codes.Unavailable, codes.Canceled:
		return true
	case codes.Internal:
		return e.Reason == ""
	default:
		return e.toBeMoved()
	}
}

// toBeMoved says whether an item's error means that another server, or the same one later, would take it.
func (e *Error) toBeMoved() bool {
	return e.Reason == reasonDraining || e.Reason == reasonServerBusy
}

func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUsage, fmt.Sprintf(format, args...))
}
