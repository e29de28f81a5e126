package ocrmux_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
)

// liveClient is a client of the pair at OCRMUX_TEST_TARGET and OCRMUX_TEST_GATEWAY_TARGET, and the images to read.
func liveClient(t *testing.T) (*ocrmux.Client, []string) {
	t.Helper()
	target, gateway := os.Getenv("OCRMUX_TEST_TARGET"), os.Getenv("OCRMUX_TEST_GATEWAY_TARGET")
	folder := os.Getenv("OCRMUX_TEST_IMAGES")
	if target == "" || gateway == "" || folder == "" {
		t.Skip("no live pair: set OCRMUX_TEST_TARGET, OCRMUX_TEST_GATEWAY_TARGET and OCRMUX_TEST_IMAGES")
	}
	images, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil || len(images) == 0 {
		t.Fatalf("no *.png in %s", folder)
	}
	client, err := ocrmux.Dial(target, ocrmux.WithGatewayTarget(gateway))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, images
}

// The live pair reads each image of a stream, in order, and reads it again from its cache by its digest.
func TestLiveStream(t *testing.T) {
	client, images := liveClient(t)
	items := func(yield func(ocrmux.Item) bool) {
		for n, image := range images {
			if !yield(ocrmux.Item{ID: fmt.Sprint("图 ", n), Path: image}) {
				return
			}
		}
	}
	var texts [2][]string
	for round, options := range [][]ocrmux.CallOption{nil, {ocrmux.WithDigestFirst()}} {
		for answer, err := range client.StreamRecognize(t.Context(), items, options...) {
			if err != nil {
				t.Fatal(err)
			}
			if failure := ocrmux.ErrorOf(answer); failure != nil {
				t.Fatal(failure)
			}
			if want := fmt.Sprint("图 ", len(texts[round])); answer.GetRequestId() != want {
				t.Errorf("got %s, want %s", answer.GetRequestId(), want)
			}
			if round == 1 && answer.GetProvenance().GetAttempts() != 0 {
				t.Errorf("%s was read twice", answer.GetRequestId())
			}
			texts[round] = append(texts[round], answer.GetDocument().GetPages()[0].GetText())
		}
	}
	if len(texts[0]) != len(images) || fmt.Sprint(texts[0]) != fmt.Sprint(texts[1]) {
		t.Errorf("got %d texts of %d images, or other ones the second time", len(texts[0]), len(images))
	}
}

// The live pair reads one image, refuses what is none, and lists its providers.
func TestLiveCalls(t *testing.T) {
	client, images := liveClient(t)
	reading, err := client.RecognizeItem(t.Context(), ocrmux.Item{Path: images[0]})
	if err != nil || reading.Text() == "" {
		t.Errorf("got %v, %v", reading, err)
	}
	large := append([]byte("no image "), make([]byte, 4<<20)...)
	for _, content := range [][]byte{[]byte("no image"), large} {
		_, err = client.Recognize(t.Context(), content)
		if failure, is := err.(*ocrmux.Error); !is || failure.Reason != "IMAGE_UNDECODABLE" {
			t.Errorf("got %v, want IMAGE_UNDECODABLE", err)
		}
	}
	list, err := client.ListProviders(t.Context())
	if err != nil || len(list.GetProviders()) == 0 {
		t.Errorf("got %v, %v", list, err)
	}
}
