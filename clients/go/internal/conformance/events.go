package main

import (
	"encoding/json"
	"errors"
	"io"
	"math/bits"
	"os"
	"strings"
	"sync"

	gatewayv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/gateway/v1"
	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
)

// events writes one JSON object a line, each at once.
type events struct {
	mu         sync.Mutex
	out        io.Writer
	drawn      int
	tellsDrawn bool
	heap       *heapWatch
}

type answerEvent struct {
	Event       string            `json:"event"`
	ID          string            `json:"id"`
	Page        uint32            `json:"page"`
	LastPage    bool              `json:"last_page"`
	PageCount   uint32            `json:"page_count"`
	Code        string            `json:"code"`
	Reason      string            `json:"reason"`
	Text        string            `json:"text"`
	Fields      map[string]string `json:"fields"`
	Provider    string            `json:"provider"`
	Cache       string            `json:"cache"`
	Attempts    uint32            `json:"attempts"`
	RetryAfterS *float64          `json:"retry_after_s"`
	Metadata    map[string]string `json:"metadata"`
}

type endEvent struct {
	Event         string   `json:"event"`
	Code          string   `json:"code"`
	Reason        string   `json:"reason"`
	Message       string   `json:"message"`
	RetryAfterS   *float64 `json:"retry_after_s"`
	Drawn         int      `json:"drawn"`
	HeapPeakBytes uint64   `json:"heap_peak_bytes"`
}

func (e *events) write(event any) {
	line, err := json.Marshal(event)
	if err == nil {
		_, err = e.out.Write(append(line, '\n'))
	}
	if err != nil {
		fault(err)
	}
}

// drew counts an item that was drawn from the source.
func (e *events) drew() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drawn++
	if e.tellsDrawn && bits.OnesCount(uint(e.drawn)) == 1 {
		e.writeDrawn()
	}
}

func (e *events) writeDrawn() {
	e.write(map[string]any{"event": "drawn", "count": e.drawn})
}

func (e *events) holding() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writeDrawn()
	e.write(map[string]any{"event": "holding"})
}

func (e *events) reconnect(r ocrmux.Reconnect) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write(map[string]any{
		"event": "reconnect", "failures": r.Failures, "wait_s": r.Wait.Seconds(),
		"code": codeName(r.Cause.Code), "reason": r.Cause.Reason,
	})
}

func (e *events) providers(list *gatewayv1.ListProvidersResponse) {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := []string{}
	for _, provider := range list.GetProviders() {
		names = append(names, provider.GetName())
	}
	e.write(map[string]any{"event": "providers", "names": names})
}

func (e *events) answer(answer *ocrmux.Answer) {
	provenance := answer.GetProvenance()
	event := answerEvent{
		Event: "answer", ID: answer.GetRequestId(), Page: answer.GetPage(), LastPage: answer.GetLastPage(),
		PageCount: answer.GetPageCount(), Code: "OK", Fields: map[string]string{}, Metadata: map[string]string{},
		Provider: provenance.GetProvider(), Attempts: provenance.GetAttempts(),
	}
	if provenance.GetCache() != 0 {
		event.Cache = strings.TrimPrefix(provenance.GetCache().String(), "CACHE_OUTCOME_")
	}
	for _, page := range answer.GetDocument().GetPages() {
		event.Text += page.GetText()
		for _, field := range page.GetFields() {
			event.Fields[field.GetName()] = field.GetNormalizedValue()
		}
	}
	if failure := ocrmux.ErrorOf(answer); failure != nil {
		event.Code, event.Reason, event.RetryAfterS = codeName(failure.Code), failure.Reason, retryAfter(failure)
		if failure.Metadata != nil {
			event.Metadata = failure.Metadata
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write(event)
}

func (e *events) end(err error) {
	event := endEvent{Event: "end", Code: "OK", HeapPeakBytes: e.heap.peak()}
	var failure *ocrmux.Error
	switch {
	case err == nil:
	case errors.As(err, &failure):
		event.Code, event.Reason, event.Message = codeName(failure.Code), failure.Reason, failure.Message
		event.RetryAfterS = retryAfter(failure)
	case errors.Is(err, ocrmux.ErrUsage):
		event.Code, event.Reason, event.Message = "INVALID_ARGUMENT", "USAGE", err.Error()
	case errors.Is(err, errLeft):
		event.Code, event.Message = "CANCELLED", err.Error()
	default:
		fault(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	event.Drawn = e.drawn
	e.write(event)
}

func retryAfter(failure *ocrmux.Error) *float64 {
	if failure.RetryAfter == 0 {
		return nil
	}
	s := failure.RetryAfter.Seconds()
	return &s
}

func codeName(number codes.Code) string { return code.Code(int32(number)).String() }

// fault ends the driver for a fault of its own.
func fault(err error) {
	_, _ = io.WriteString(os.Stderr, "conformance: "+err.Error()+"\n")
	os.Exit(2)
}
