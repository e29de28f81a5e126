package ocrmux

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	gatewayv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/gateway/v1"
	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// patience bounds every wait of the tests for a condition.
const patience = 20 * time.Second

// fakeServer is a preprocess service that reads nothing, as strict as the real ones: what breaks the protocol
// ends the stream and fails the test. What an item's answer is, its content says: see pagesOf.
type fakeServer struct {
	preprocessv1.UnimplementedPreprocessServiceServer

	health          *health.Server
	limits          *ocrv1.StreamLimits
	backwards       bool          // answers come after the half-close, the last item first
	answersTogether int           // answers a batch
	gate            chan struct{} // answers wait until it is closed, but for the first openAnswers
	openAnswers     int
	breaks          []breaking                // of the streams, one after the other
	moves           map[string]int            // items that are sent elsewhere, so often
	moveError       error                     // how; else DRAINING
	known           map[string]bool           // contents that are answered by digest
	script          func(fakeCall, int) error // instead of all that
	unary           func(call int) error      // before each unary call
	unaryAnswers    func() []*Answer          // of unary calls, instead of what the content says

	mu            sync.Mutex
	streams       int
	unaryCalls    int
	breaches      []string
	configs       []*preprocessv1.RecognizeStreamConfig
	received      []string // ids, as items are begun
	chunked       []string
	whole         map[string][]byte // content by id
	items         map[string]*preprocessv1.SourceItem
	batches       []int // items a message
	answerBatches []int
	inFlight      map[string]int64
	mostInFlight  int
	mostBytes     int64
	largest       int
	headers       metadata.MD
	cancelled     chan struct{} // one for each stream that the client has cancelled
}

type fakeCall = grpc.BidiStreamingServer[preprocessv1.StreamRecognizeRequest, preprocessv1.StreamRecognizeResponse]

// breaking ends a stream with err (nil: OK) after so many answers; never where after is below 0.
type breaking struct {
	after int
	err   error
}

func newFake() *fakeServer {
	healthy := health.NewServer()
	for _, service := range []string{
		preprocessv1.PreprocessService_ServiceDesc.ServiceName, gatewayv1.OcrGatewayService_ServiceDesc.ServiceName,
	} {
		healthy.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	}
	return &fakeServer{
		health: healthy,
		limits: &ocrv1.StreamLimits{
			MaxItemsInFlight: 16, MaxBytesInFlight: 64 << 20, MaxItemBytes: 32 << 20, MaxMessageBytes: 2 << 20,
		},
		moves:     map[string]int{},
		known:     map[string]bool{},
		whole:     map[string][]byte{},
		items:     map[string]*preprocessv1.SourceItem{},
		inFlight:  map[string]int64{},
		cancelled: make(chan struct{}, 100),
	}
}

// start serves the fake on a free loopback port until the test ends.
func (f *fakeServer) start(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.serve(t, listener, options...)
	return listener.Addr().String()
}

func (f *fakeServer) serve(t *testing.T, listener net.Listener, options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(options...)
	preprocessv1.RegisterPreprocessServiceServer(server, f)
	gatewayv1.RegisterOcrGatewayServiceServer(server, &fakeGateway{})
	healthpb.RegisterHealthServer(server, f.health)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		for _, breach := range f.seen().breaches {
			t.Errorf("the client broke the protocol: %s", breach)
		}
	})
	return server
}

// seen is a copy of what the fake has seen so far.
func (f *fakeServer) seen() fakeServer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fakeServer{
		streams: f.streams, unaryCalls: f.unaryCalls, headers: f.headers,
		breaches: append([]string(nil), f.breaches...), received: append([]string(nil), f.received...),
		chunked: append([]string(nil), f.chunked...), configs: append(f.configs[:0:0], f.configs...),
		batches: append([]int(nil), f.batches...), answerBatches: append([]int(nil), f.answerBatches...),
		mostInFlight: f.mostInFlight, mostBytes: f.mostBytes, largest: f.largest,
	}
}

func (f *fakeServer) Recognize(ctx context.Context, message *preprocessv1.RecognizeRequest) (*preprocessv1.RecognizeResponse, error) {
	f.mu.Lock()
	f.unaryCalls++
	call := f.unaryCalls
	f.headers, _ = metadata.FromIncomingContext(ctx)
	f.mu.Unlock()
	if f.unary != nil {
		if err := f.unary(call); err != nil {
			return nil, err
		}
	}
	if f.unaryAnswers != nil {
		return &preprocessv1.RecognizeResponse{Answers: f.unaryAnswers()}, nil
	}
	answers := pagesOf(message.GetItem().GetRequestId(), message.GetItem().GetImage().GetContent())
	if failure := answers[0].GetError(); failure != nil && len(answers) == 1 {
		return nil, status.FromProto(failure).Err()
	}
	return &preprocessv1.RecognizeResponse{Answers: answers}, nil
}

// fakeGateway lists one provider.
type fakeGateway struct {
	gatewayv1.UnimplementedOcrGatewayServiceServer
}

func (*fakeGateway) ListProviders(context.Context, *gatewayv1.ListProvidersRequest) (*gatewayv1.ListProvidersResponse, error) {
	return &gatewayv1.ListProvidersResponse{Providers: []*gatewayv1.Provider{{Name: "fake"}}}, nil
}

func (f *fakeServer) StreamRecognize(call fakeCall) error {
	f.mu.Lock()
	f.streams++
	number := f.streams
	f.headers, _ = metadata.FromIncomingContext(call.Context())
	clear(f.inFlight)
	plan := breaking{after: -1}
	if len(f.breaks) > 0 {
		plan, f.breaks = f.breaks[0], f.breaks[1:]
	}
	f.mu.Unlock()
	var err error
	if f.script != nil {
		err = f.script(call, number)
	} else {
		stream := &fakeStream{
			fake: f, call: call, plan: plan,
			ready: make(chan fakeItem, 100_000), seen: map[string]bool{}, read: make(chan error, 1),
		}
		err = stream.run()
	}
	if call.Context().Err() != nil {
		f.cancelled <- struct{}{}
	}
	return err
}
