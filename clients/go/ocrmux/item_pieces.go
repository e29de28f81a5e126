package ocrmux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

const (
	wholeMaxBytes = 1 << 20
	chunkBytes    = 1 << 20
	envelopeBytes = 1024 // more than a chunk's id, lengths and tags ever take
)

type request = preprocessv1.StreamRecognizeRequest

// itemRefused is an item that the client itself answers: its file cannot be read, or is over the server's limit.
type itemRefused struct{ status *rpcstatus.Status }

func (r *itemRefused) Error() string { return r.status.GetMessage() }

// measure gives the bytes of the item's content before it is read. Its error is an *itemRefused.
func measure(item Item, limits *ocrv1.StreamLimits) (int64, error) {
	size := int64(len(item.Content))
	if item.Path != "" {
		info, err := os.Stat(item.Path)
		if err != nil {
			return 0, unreadable(item.Path, err)
		}
		if info.IsDir() {
			return 0, unreadable(item.Path, syscall.EISDIR)
		}
		size = info.Size()
	}
	return size, withinLimit(size, limits)
}

// load gives the item's content, holding no more of a file than the server's limit. Its error is an *itemRefused.
func load(item Item, limits *ocrv1.StreamLimits) ([]byte, error) {
	if item.Path == "" {
		return item.Content, nil
	}
	most := int64(math.MaxInt64)
	if limits.GetMaxItemBytes() > 0 && limits.GetMaxItemBytes() < math.MaxInt64 {
		most = int64(limits.GetMaxItemBytes()) + 1
	}
	content, err := loadFile(item.Path, most)
	if err != nil {
		return nil, err
	}
	return content, withinLimit(int64(len(content)), limits)
}

// loadFile gives at most so many bytes of the file. Its error is an *itemRefused.
func loadFile(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer file.Close()
	var content bytes.Buffer
	if info, err := file.Stat(); err == nil {
		content.Grow(int(min(info.Size(), most)) + bytes.MinRead)
	}
	if _, err := content.ReadFrom(io.LimitReader(file, most)); err != nil {
		return nil, unreadable(path, err)
	}
	return content.Bytes(), nil
}

// digest gives the SHA-256 of the item's content, never holding a file whole and reading no more of it than the server's
// limit. Its error is an *itemRefused, or the context's.
func digest(ctx context.Context, item Item, limits *ocrv1.StreamLimits) ([]byte, error) {
	hash := sha256.New()
	if item.Path == "" {
		hash.Write(item.Content)
		return hash.Sum(nil), nil
	}
	file, err := os.Open(item.Path)
	if err != nil {
		return nil, unreadable(item.Path, err)
	}
	defer file.Close()
	buffer, size := make([]byte, 256<<10), int64(0)
	for ctx.Err() == nil {
		count, err := file.Read(buffer)
		hash.Write(buffer[:count])
		size += int64(count)
		if errors.Is(err, io.EOF) {
			return hash.Sum(nil), nil
		}
		if err != nil {
			return nil, unreadable(item.Path, err)
		}
		if err := withinLimit(size, limits); err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// digestItem is the item by its digest only.
func digestItem(item Item, sum []byte) *preprocessv1.SourceItem {
	named := &ocrv1.ContentDigest{Algorithm: ocrv1.DigestAlgorithm_DIGEST_ALGORITHM_SHA256, Value: sum}
	return sourceItem(item, &ocrv1.ImagePayload{Source: &ocrv1.ImagePayload_Digest{Digest: named}})
}

// together is the items in one request where it fits the server's limit and saves any; else each in its own.
func together(items []*preprocessv1.SourceItem, limits *ocrv1.StreamLimits) []*request {
	batch := &request{Message: &preprocessv1.StreamRecognizeRequest_Batch{
		Batch: &preprocessv1.SourceItemBatch{Items: items},
	}}
	if len(items) > 1 && (limits.GetMaxMessageBytes() == 0 || uint64(proto.Size(batch)) <= limits.GetMaxMessageBytes()) {
		return []*request{batch}
	}
	requests := make([]*request, len(items))
	for n, item := range items {
		requests[n] = itemRequest(item)
	}
	return requests
}

// pieces is the item with its content: one request where it fits, else an announcement and its chunks.
func pieces(item Item, content []byte, limits *ocrv1.StreamLimits) iter.Seq[*request] {
	return func(yield func(*request) bool) {
		messageMax := limits.GetMaxMessageBytes()
		if messageMax == 0 {
			messageMax = chunkBytes + envelopeBytes
		}
		if len(content) <= wholeMaxBytes {
			whole := itemRequest(sourceItem(item, contentPayload(content)))
			if uint64(proto.Size(whole)) <= messageMax {
				yield(whole)
				return
			}
		}
		announced := &ocrv1.ChunkedContent{TotalBytes: uint64(len(content))}
		payload := &ocrv1.ImagePayload{Source: &ocrv1.ImagePayload_Chunked{Chunked: announced}}
		if !yield(itemRequest(sourceItem(item, payload))) {
			return
		}
		step := 1
		if messageMax > envelopeBytes {
			step = int(min(chunkBytes, messageMax-envelopeBytes))
		}
		for start := 0; start < len(content); start += step {
			data := content[start:min(len(content), start+step)]
			chunk := &ocrv1.ContentChunk{RequestId: item.ID, Data: data}
			if !yield(&request{Message: &preprocessv1.StreamRecognizeRequest_Chunk{Chunk: chunk}}) {
				return
			}
		}
	}
}

func contentPayload(content []byte) *ocrv1.ImagePayload {
	return &ocrv1.ImagePayload{Source: &ocrv1.ImagePayload_Content{Content: content}}
}

func sourceItem(item Item, payload *ocrv1.ImagePayload) *preprocessv1.SourceItem {
	return &preprocessv1.SourceItem{
		RequestId: item.ID,
		Image:     payload,
		Regions:   item.rects(),
		Password:  item.Password,
	}
}

func itemRequest(item *preprocessv1.SourceItem) *request {
	return &request{Message: &preprocessv1.StreamRecognizeRequest_Item{Item: item}}
}

func withinLimit(size int64, limits *ocrv1.StreamLimits) error {
	limit := limits.GetMaxItemBytes()
	if limit == 0 || uint64(size) <= limit {
		return nil
	}
	message := fmt.Sprintf("a file of %d bytes is over the server's limit of %d bytes", size, limit)
	metadata := map[string]string{
		"value": strconv.FormatInt(size, 10),
		"limit": strconv.FormatUint(limit, 10),
		"unit":  "bytes",
	}
	return &itemRefused{itemStatus(codes.OutOfRange, reasonTooLarge, message, metadata)}
}

func unreadable(path string, err error) *itemRefused {
	cause := err
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		cause = pathError.Err
	}
	message := fmt.Sprintf("the file cannot be read: %v", cause)
	metadata := map[string]string{"path": strings.ToValidUTF8(path, "\uFFFD")}
	return &itemRefused{itemStatus(codes.NotFound, ReasonSourceUnreadable, message, metadata)}
}
