package ocrmux

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func response(answers []*Answer) *preprocessv1.StreamRecognizeResponse {
	if len(answers) == 1 {
		return &preprocessv1.StreamRecognizeResponse{
			Message: &preprocessv1.StreamRecognizeResponse_Answer{Answer: answers[0]},
		}
	}
	return &preprocessv1.StreamRecognizeResponse{
		Message: &preprocessv1.StreamRecognizeResponse_Batch{Batch: &ocrv1.PageAnswerBatch{Answers: answers}},
	}
}

func limitsResponse(limits *ocrv1.StreamLimits) *preprocessv1.StreamRecognizeResponse {
	return &preprocessv1.StreamRecognizeResponse{
		Message: &preprocessv1.StreamRecognizeResponse_Limits{Limits: limits},
	}
}

// pagesOf gives N pages for "pages=N", a refusal for "error=REASON", else one page with the content's digest as its text.
func pagesOf(id string, content []byte) []*Answer {
	text := string(content[:min(len(content), 64)])
	if reason, is := strings.CutPrefix(text, "error="); is {
		return []*Answer{refusal(id, statusError(codes.InvalidArgument, reason))}
	}
	count := 1
	if number, is := strings.CutPrefix(text, "pages="); is {
		count, _ = strconv.Atoi(strings.Fields(number)[0])
	}
	var answers []*Answer
	for page := 1; page <= count; page++ {
		document := &ocrv1.Document{Pages: []*ocrv1.Page{{Number: uint32(page), Text: digestOf(content)}}}
		answers = append(answers, &Answer{
			RequestId: id, Page: uint32(page), PageCount: uint32(count), LastPage: page == count,
			Outcome: &ocrv1.PageAnswer_Document{Document: document},
		})
	}
	return answers
}

func refusal(id string, err error) *Answer {
	return &Answer{
		RequestId: id, LastPage: true, Outcome: &ocrv1.PageAnswer_Error{Error: status.Convert(err).Proto()},
	}
}

// statusError is an error as the services make it; without a reason it has no details.
func statusError(code codes.Code, reason string) error {
	told := status.New(code, "as the test wants it")
	if reason == "" {
		return told.Err()
	}
	return withDetails(told, reason, 0)
}

func statusErrorAfter(code codes.Code, reason string, retryAfter time.Duration) error {
	return withDetails(status.New(code, "as the test wants it"), reason, retryAfter)
}

func withDetails(told *status.Status, reason string, retryAfter time.Duration) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: "ocrmux", Metadata: map[string]string{"limit": "7"}}
	detailed, err := told.WithDetails(info)
	if err == nil && retryAfter > 0 {
		detailed, err = detailed.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	if err != nil {
		panic(err)
	}
	return detailed.Err()
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}
