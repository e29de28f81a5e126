package ocrmux

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// One image is read by one call, from memory or from a file; its pages are parted by form feeds.
func TestRecognizeGivesThePages(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t))
	reading, err := client.Recognize(t.Context(), []byte("pages=2"))
	if err != nil {
		t.Fatal(err)
	}
	text := digestOf([]byte("pages=2"))
	wantEqual(t, "text", reading.Text(), text+"\f"+text)
	path := filepath.Join(t.TempDir(), "one.bin")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if reading, err = client.RecognizeItem(t.Context(), Item{Path: path}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "text", reading.Text(), digestOf([]byte("one")))
	wantEqual(t, "streams", fake.seen().streams, 0)
}

// Content above 3 MiB, and what the server does not let into one message, goes in chunks with the same result.
func TestRecognizeSendsLargeContentInChunks(t *testing.T) {
	fake := newFake()
	fake.limits.MaxMessageBytes = 100_000
	client, _ := dial(t, fake.start(t, grpc.MaxRecvMsgSize(100_000)))
	for _, size := range []int{4 << 20, 300_000} {
		content := []byte(strings.Repeat("y", size))
		reading, err := client.Recognize(t.Context(), content)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "text", reading.Text(), digestOf(content))
	}
	wantEqual(t, "chunked", len(fake.seen().chunked), 2)
	content := []byte("error=IMAGE_EMPTY" + strings.Repeat(" ", 4<<20))
	_, err := client.Recognize(t.Context(), content[:4<<20])
	if failure := wantError(t, err); !strings.HasPrefix(failure.Reason, "IMAGE_EMPTY") {
		t.Errorf("got %v", failure)
	}
}

// An error of the item is the call's error, with code, reason, figures and details.
func TestRecognizeFailsWithTheItemsError(t *testing.T) {
	client, _ := dial(t, newFake().start(t))
	_, err := client.Recognize(t.Context(), []byte("error=IMAGE_EMPTY"))
	failure := wantError(t, err)
	wantEqual(t, "error", failure.Error(), "INVALID_ARGUMENT IMAGE_EMPTY: as the test wants it")
	wantEqual(t, "metadata", failure.Metadata, map[string]string{"limit": "7"})
	wantEqual(t, "details", len(failure.Details.GetDetails()), 1)
	wantEqual(t, "gRPC's code", status.Code(err), codes.InvalidArgument)
	_, err = client.RecognizeItem(t.Context(), Item{Path: filepath.Join(t.TempDir(), "gone")})
	wantEqual(t, "reason", wantError(t, err).Reason, ReasonSourceUnreadable)
}

// What is a lost connection to a stream is tried again after the backoff, not less than RetryInfo; four failures are borne.
func TestRecognizeIsTriedAgain(t *testing.T) {
	fake := newFake()
	fake.unary = func(call int) error {
		switch call {
		case 1:
			return statusError(codes.Unavailable, "GATEWAY_UNAVAILABLE")
		case 2:
			return statusErrorAfter(codes.ResourceExhausted, "SERVER_BUSY", 2*time.Second)
		case 3:
			return statusError(codes.Internal, "")
		case 4:
			return statusError(codes.Canceled, "")
		case 5:
			return nil
		case 6:
			return statusError(codes.ResourceExhausted, "TENANT_QUOTA")
		case 7:
			return statusError(codes.Internal, "INTERNAL")
		}
		return statusError(codes.Unavailable, "")
	}
	client, waited := dial(t, fake.start(t))
	if _, err := client.Recognize(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "waits", waited.all(), []time.Duration{
		200 * time.Millisecond, 2 * time.Second, 800 * time.Millisecond, 1600 * time.Millisecond,
	})
	for _, reason := range []string{"TENANT_QUOTA", "INTERNAL"} {
		_, err := client.Recognize(t.Context(), []byte("a"))
		wantEqual(t, "reason", wantError(t, err).Reason, reason)
	}
	_, err := client.Recognize(t.Context(), []byte("a"))
	wantEqual(t, "code", wantError(t, err).Code, codes.Unavailable)
	wantEqual(t, "calls", fake.seen().unaryCalls, 7+5)
}

// In chunks as in one call, four failures are borne, and the fifth is the call's error.
func TestRecognizeInChunksIsTriedAsOften(t *testing.T) {
	fake := newFake()
	lost := breaking{0, statusError(codes.Internal, "")}
	fake.breaks = []breaking{lost, lost, lost, lost}
	client, waited := dial(t, fake.start(t))
	content := make([]byte, 4<<20)
	if _, err := client.Recognize(t.Context(), content); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "waits", len(waited.all()), 4)
	fake.breaks = []breaking{lost, lost, lost, lost, lost}
	_, err := client.Recognize(t.Context(), content)
	wantEqual(t, "code", wantError(t, err).Code, codes.Internal)
	wantEqual(t, "streams", fake.seen().streams, 10)
}

// The error of an only page is the call's, in one call and in chunks; the error of one page of several stands at it.
func TestAnOnlyPageThatFailedIsTheCallsError(t *testing.T) {
	failed := func(page, count uint32) *Answer {
		answer := refusal("whole", statusError(codes.Unavailable, "PROVIDER_UNAVAILABLE"))
		answer.Page, answer.PageCount, answer.LastPage = page, count, page == count
		return answer
	}
	var answers []*Answer
	fake := newFake()
	fake.unaryAnswers = func() []*Answer { return answers }
	fake.script = func(call fakeCall, _ int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		_ = call.Send(limitsResponse(fake.limits))
		if _, err := call.Recv(); err != nil {
			return err
		}
		return call.Send(response(answers))
	}
	client, _ := dial(t, fake.start(t))
	for _, size := range []int{1, 4 << 20} {
		answers = []*Answer{failed(1, 1)}
		_, err := client.Recognize(t.Context(), make([]byte, size))
		wantEqual(t, "reason", wantError(t, err).Reason, "PROVIDER_UNAVAILABLE")
		answers = []*Answer{pagesOf("whole", []byte("pages=2"))[0], failed(2, 2)}
		reading, err := client.Recognize(t.Context(), make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "pages that failed", len(reading.Errors()), 1)
	}
	answers = nil
	_, err := client.Recognize(t.Context(), []byte("a"))
	wantEqual(t, "reason", wantError(t, err).Reason, ReasonProtocolBroken)
}

// The time limit holds for all tries together, and the context's end is told as what it is.
func TestRecognizeEndsInTime(t *testing.T) {
	fake := newFake()
	fake.unary = func(int) error { return statusError(codes.Unavailable, "") }
	client, _ := dial(t, fake.start(t))
	client.chance.pause = pause
	slow := WithBackoff(Backoff{First: time.Hour, Factor: 1, Longest: time.Hour, Attempts: 4})
	_, err := client.Recognize(t.Context(), []byte("a"), slow, WithTimeout(50*time.Millisecond))
	wantEqual(t, "code", wantError(t, err).Code, codes.DeadlineExceeded)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no context.DeadlineExceeded", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Recognize(ctx, []byte("a"))
	if wantEqual(t, "code", wantError(t, err).Code, codes.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v is no context.Canceled", err)
	}
}

// ListProviders asks the gateway's target, else the client's own whatever the health of the preprocess service there.
func TestProvidersAreListed(t *testing.T) {
	list := func(client *Client) {
		t.Helper()
		list, err := client.ListProviders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "provider", list.GetProviders()[0].GetName(), "fake")
	}
	client, _ := dial(t, "127.0.0.1:1", WithGatewayTarget(newFake().start(t)))
	list(client)
	gateway := newFake()
	gateway.health.SetServingStatus(preprocessv1.PreprocessService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
	client, _ = dial(t, gateway.start(t))
	list(client)
	_, err := client.Recognize(t.Context(), []byte("a"))
	wantEqual(t, "code", wantError(t, err).Code, codes.Unavailable)
}

// Reasons count in the services' own domain only, and codes that nobody knows are UNKNOWN.
func TestErrorsOfOthersHaveNoReason(t *testing.T) {
	told := itemStatus(codes.Internal, "SOMETHING", "of a proxy", nil)
	told.GetDetails()[0].Value = []byte("\x0a\x09SOMETHING\x12\x05proxy")
	failure := errorFromStatus(told)
	wantEqual(t, "reason", failure.Reason, "")
	wantEqual(t, "passing", failure.passing(), true)
	wantEqual(t, "code", errorFromStatus(&rpcstatus.Status{Code: 99}).Code, codes.Unknown)
	if ErrorOf(&Answer{}) != nil {
		t.Error("an answer without an error has one")
	}
}

// Waits are cut by 0.5 to 1, and bounded whatever the count and the server's wish.
func TestBackoffIsBounded(t *testing.T) {
	backoff := DefaultBackoff()
	wantEqual(t, "least", backoff.wait(1, 0, 0), 100*time.Millisecond)
	wantEqual(t, "most", backoff.wait(1, 0, 1), 200*time.Millisecond)
	wantEqual(t, "a wish", backoff.wait(1, 3*time.Second, 0), 3*time.Second)
	wantEqual(t, "a long wish", backoff.wait(1, time.Hour, 0), 10*time.Second)
	wantEqual(t, "many", backoff.wait(5000, 0, 1), 10*time.Second)
}
