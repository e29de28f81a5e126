package ocrmux_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
	"google.golang.org/grpc/codes"
)

func Example() {
	client, err := ocrmux.Dial("localhost:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	content, err := os.ReadFile("letter.png")
	if err != nil {
		log.Fatal(err)
	}
	reading, err := client.Recognize(context.Background(), content)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reading.Text())
}

func ExampleClient_StreamRecognize() {
	client, err := ocrmux.Dial("localhost:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	items := func(yield func(ocrmux.Item) bool) {
		for _, path := range os.Args[1:] {
			if !yield(ocrmux.Item{ID: path, Path: path}) {
				return
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for answer, err := range client.StreamRecognize(ctx, items, ocrmux.WithConcurrency(16), ocrmux.WithDigestFirst()) {
		if err != nil {
			log.Fatal(err) // the stream's error; every answer before it stands
		}
		if failure := ocrmux.ErrorOf(answer); failure != nil {
			log.Printf("%s, page %d: %v", answer.GetRequestId(), answer.GetPage(), failure)
			continue
		}
		for _, page := range answer.GetDocument().GetPages() {
			fmt.Println(answer.GetRequestId(), answer.GetPage(), page.GetText())
		}
	}
}

func ExampleError() {
	client, err := ocrmux.Dial("ocr.example.com:443", ocrmux.WithTLS(ocrmux.TLS{}), ocrmux.WithToken(os.Getenv("OCRMUX_TOKEN")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.Recognize(context.Background(), []byte("no image"))
	var failure *ocrmux.Error
	if errors.As(err, &failure) && failure.Code == codes.InvalidArgument {
		fmt.Println(failure.Reason, failure.Message, failure.Metadata)
	}
}
