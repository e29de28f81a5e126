package ocrmux

import (
	"strings"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
)

// Reading is what became of one image or document.
type Reading struct {
	// Answers has one answer a page, in order.
	Answers []*Answer
}

// PageError is the error of a page that could not be read.
type PageError struct {
	// Page is counted from 1.
	Page int
	// Err is why.
	Err *Error
}

// Pages gives the pages that were read.
func (r *Reading) Pages() []*ocrv1.Page {
	var pages []*ocrv1.Page
	for _, answer := range r.Answers {
		pages = append(pages, answer.GetDocument().GetPages()...)
	}
	return pages
}

// Text gives the text of the pages that were read, parted by form feeds.
func (r *Reading) Text() string {
	var texts []string
	for _, page := range r.Pages() {
		texts = append(texts, page.GetText())
	}
	return strings.Join(texts, "\f")
}

// Errors gives the errors of the pages that could not be read.
func (r *Reading) Errors() []PageError {
	var failed []PageError
	for _, answer := range r.Answers {
		if err := ErrorOf(answer); err != nil {
			failed = append(failed, PageError{int(answer.GetPage()), err})
		}
	}
	return failed
}
