package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
	"google.golang.org/genproto/googleapis/rpc/code"
)

// record is one page; what is not known is null. Page is 0 for an error of the source as a whole.
type record struct {
	Source     string   `json:"source"`
	Page       uint32   `json:"page"`
	Status     string   `json:"status"`
	Reason     *string  `json:"reason"`
	Text       *string  `json:"text"`
	Confidence *float64 `json:"confidence"`
	Provider   *string  `json:"provider"`
	Cache      *string  `json:"cache"`
	Attempts   uint32   `json:"attempts"`
}

func recordOf(source string, answer *ocrmux.Answer) record {
	provenance := answer.GetProvenance()
	told := record{
		Source: source, Page: answer.GetPage(), Status: "OK",
		Provider: known(provenance.GetProvider()), Attempts: provenance.GetAttempts(),
	}
	if provenance.GetCache() != 0 {
		told.Cache = known(strings.TrimPrefix(provenance.GetCache().String(), "CACHE_OUTCOME_"))
	}
	if failure := ocrmux.ErrorOf(answer); failure != nil {
		told.Status, told.Reason = code.Code(int32(failure.Code)).String(), known(failure.Reason)
		return told
	}
	text := ""
	for _, page := range answer.GetDocument().GetPages() {
		text += page.GetText()
		if page.Confidence != nil {
			confidence := math.Round(float64(page.GetConfidence())*1e6) / 1e6
			told.Confidence = &confidence
		}
	}
	told.Text = &text
	return told
}

func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// report writes the records to out, and how it goes to progress.
type report struct {
	out, progress        io.Writer
	sources              *sources
	pages, files, failed int
	began                time.Time
}

func (r *report) answer(answer *ocrmux.Answer) error {
	source := r.sources.path(answer)
	told := recordOf(source, answer)
	r.pages++
	if answer.GetLastPage() {
		r.files++
	}
	if failure := ocrmux.ErrorOf(answer); failure != nil {
		r.failed++
		fmt.Fprintf(r.progress, "readfolder: %s, page %d: %v\n", source, answer.GetPage(), failure)
	}
	line := json.NewEncoder(r.out)
	line.SetEscapeHTML(false)
	return line.Encode(told)
}

func (r *report) reconnect(reconnect ocrmux.Reconnect) {
	fmt.Fprintf(r.progress, "readfolder: %v; next try in %v\n", reconnect.Cause, reconnect.Wait.Round(time.Millisecond))
}

func (r *report) close() {
	took := time.Since(r.began).Round(100 * time.Millisecond)
	fmt.Fprintf(r.progress, "readfolder: %d files, %d pages, %d errors in %v\n", r.files, r.pages, r.failed, took)
}
