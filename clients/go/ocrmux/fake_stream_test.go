package ocrmux

import (
	"errors"
	"fmt"
	"io"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc/codes"
)

// fakeItem is an item that was received whole; nil content: by a digest that is not known.
type fakeItem struct {
	id      string
	content []byte
}

type fakeStream struct {
	fake  *fakeServer
	call  fakeCall
	plan  breaking
	ready chan fakeItem
	seen  map[string]bool
	read  chan error
	given int

	open      string // the item whose chunks come
	openBytes []byte
	openTotal uint64
}

func (s *fakeStream) run() error {
	first, err := s.call.Recv()
	if err != nil {
		return err
	}
	if first.GetConfig() == nil {
		return s.breach("the first message is no config")
	}
	s.fake.mu.Lock()
	s.fake.configs = append(s.fake.configs, first.GetConfig())
	s.fake.mu.Unlock()
	if err := s.call.Send(&preprocessv1.StreamRecognizeResponse{
		Message: &preprocessv1.StreamRecognizeResponse_Limits{Limits: s.fake.limits},
	}); err != nil {
		return err
	}
	go func() {
		s.read <- s.readAll()
		close(s.ready)
	}()
	return s.answerAll()
}

func (s *fakeStream) readAll() error {
	for {
		message, err := s.call.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				if s.open != "" {
					return s.breach("the stream was half-closed within the chunks of " + s.open)
				}
				return nil
			}
			return err
		}
		if err := s.take(message); err != nil {
			return err
		}
	}
}

func (s *fakeStream) take(message *request) error {
	size := len(protoBytes(message))
	s.fake.mu.Lock()
	s.fake.largest = max(s.fake.largest, size)
	s.fake.mu.Unlock()
	if limit := s.fake.limits.GetMaxMessageBytes(); limit > 0 && uint64(size) > limit {
		return s.breach(fmt.Sprintf("a message of %d bytes", size))
	}
	switch kind := message.GetMessage().(type) {
	case *preprocessv1.StreamRecognizeRequest_Item:
		return s.item(kind.Item)
	case *preprocessv1.StreamRecognizeRequest_Chunk:
		return s.chunk(kind.Chunk)
	case *preprocessv1.StreamRecognizeRequest_Batch:
		s.fake.mu.Lock()
		s.fake.batches = append(s.fake.batches, len(kind.Batch.GetItems()))
		s.fake.mu.Unlock()
		for _, item := range kind.Batch.GetItems() {
			if err := s.item(item); err != nil {
				return err
			}
		}
		return nil
	}
	return s.breach("a second config, or a message of no kind")
}

func (s *fakeStream) item(item *preprocessv1.SourceItem) error {
	id, image := item.GetRequestId(), item.GetImage()
	s.fake.mu.Lock()
	known := s.seen[id]
	s.seen[id] = true
	size := int64(max(len(image.GetContent()), int(image.GetChunked().GetTotalBytes())))
	s.fake.received = append(s.fake.received, id)
	s.fake.items[id] = item
	s.fake.inFlight[id] = size
	s.fake.mostInFlight = max(s.fake.mostInFlight, len(s.fake.inFlight))
	total := int64(0)
	for _, bytes := range s.fake.inFlight {
		total += bytes
	}
	s.fake.mostBytes = max(s.fake.mostBytes, total)
	s.fake.mu.Unlock()
	switch limits := s.fake.limits; {
	case s.open != "":
		return s.breach("an item within the chunks of " + s.open)
	case id == "" || len([]rune(id)) > 128 || known:
		return s.breach(fmt.Sprintf("the id %q is a duplicate, empty or too long", id))
	case s.inFlight() > int(limits.GetMaxItemsInFlight()):
		return s.breach("more items in flight than the limit")
	case limits.GetMaxItemBytes() > 0 && uint64(size) > limits.GetMaxItemBytes():
		return s.breach("an item over the limit of bytes")
	}
	switch source := image.GetSource().(type) {
	case *ocrv1.ImagePayload_Content:
		s.whole(id, source.Content)
	case *ocrv1.ImagePayload_Chunked:
		s.fake.mu.Lock()
		s.fake.chunked = append(s.fake.chunked, id)
		s.fake.mu.Unlock()
		s.open, s.openBytes, s.openTotal = id, nil, source.Chunked.GetTotalBytes()
	case *ocrv1.ImagePayload_Digest:
		if s.fake.known[string(source.Digest.GetValue())] {
			s.ready <- fakeItem{id, []byte("known")}
		} else {
			delete(s.seen, id)
			s.ready <- fakeItem{id, nil}
		}
	default:
		return s.breach("an item without a payload")
	}
	return nil
}

func (s *fakeStream) chunk(chunk *ocrv1.ContentChunk) error {
	if chunk.GetRequestId() != s.open || s.open == "" {
		return s.breach("a chunk of no announced item")
	}
	s.openBytes = append(s.openBytes, chunk.GetData()...)
	if uint64(len(s.openBytes)) > s.openTotal {
		return s.breach("more chunks than announced")
	}
	if uint64(len(s.openBytes)) == s.openTotal {
		id := s.open
		s.open = ""
		s.whole(id, s.openBytes)
	}
	return nil
}

func (s *fakeStream) whole(id string, content []byte) {
	s.fake.mu.Lock()
	s.fake.whole[id] = content
	s.fake.mu.Unlock()
	s.ready <- fakeItem{id, content}
}

func (s *fakeStream) answerAll() error {
	var held []fakeItem
	for {
		select {
		case item, more := <-s.ready:
			if !more {
				for n := len(held) - 1; n >= 0; n-- {
					if err, over := s.answer(held[n]); over {
						return err
					}
				}
				return <-s.read
			}
			if s.fake.backwards {
				held = append(held, item)
				continue
			}
			if err, over := s.answer(item); over {
				return err
			}
		case <-s.call.Context().Done():
			return s.call.Context().Err()
		}
	}
}

// answer sends the item's answers; over where the stream ends by it.
func (s *fakeStream) answer(item fakeItem) (err error, over bool) {
	if s.fake.gate != nil && s.given >= s.fake.openAnswers {
		select {
		case <-s.fake.gate:
		case <-s.call.Context().Done():
			return s.call.Context().Err(), true
		}
	}
	answers := s.answersTo(item)
	for together := max(1, s.fake.answersTogether); len(answers) > 0; {
		count := min(together, len(answers))
		if s.plan.after >= 0 {
			count = min(count, s.plan.after-s.given)
		}
		if count <= 0 {
			return s.plan.err, true
		}
		if answers[count-1].GetLastPage() {
			s.fake.mu.Lock()
			delete(s.fake.inFlight, item.id)
			s.fake.mu.Unlock()
		}
		if err := s.call.Send(response(answers[:count])); err != nil {
			return err, true
		}
		s.fake.mu.Lock()
		s.fake.answerBatches = append(s.fake.answerBatches, count)
		s.fake.mu.Unlock()
		s.given += count
		answers = answers[count:]
	}
	return nil, false
}

func (s *fakeStream) answersTo(item fakeItem) []*Answer {
	if item.content == nil {
		return []*Answer{refusal(item.id, statusError(codes.NotFound, "CONTENT_REQUIRED"))}
	}
	if s.fake.toBeMoved(item.id) {
		err := s.fake.moveError
		if err == nil {
			err = statusError(codes.Unavailable, "DRAINING")
		}
		return []*Answer{refusal(item.id, err)}
	}
	return pagesOf(item.id, item.content)
}

// toBeMoved counts a move of the item.
func (f *fakeServer) toBeMoved(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.moves[id] == 0 {
		return false
	}
	f.moves[id]--
	return true
}

func (s *fakeStream) inFlight() int {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	return len(s.fake.inFlight)
}

func (s *fakeStream) breach(what string) error {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	s.fake.breaches = append(s.fake.breaches, what)
	return statusError(codes.InvalidArgument, "MESSAGE_UNEXPECTED")
}
