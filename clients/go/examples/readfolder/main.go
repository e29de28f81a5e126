// Readfolder reads the images and documents of a folder, recursively, and writes one JSON object a page to standard output.
//
//	readfolder [--target HOST:PORT] [--concurrency N] [--digest-first] [--ca-file FILE] FOLDER
//
// The environment's OCRMUX_TOKEN goes with every call. Exit status: 0 all read, 1 some items failed, 2 bad usage or nothing
// could start, 130 interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
)

const (
	allRead     = 0
	someFailed  = 1
	notStarted  = 2
	interrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	folder, target, caFile string
	concurrency            int
	digestFirst            bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var wanted options
	flags := flag.NewFlagSet("readfolder", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&wanted.target, "target", "localhost:50051", "`HOST:PORT` of a preprocess service")
	flags.IntVar(&wanted.concurrency, "concurrency", 8, "items on their way at most")
	flags.BoolVar(&wanted.digestFirst, "digest-first", false, "ask by digest first, and send only what is not known")
	flags.StringVar(&wanted.caFile, "ca-file", "", "PEM `FILE` of roots: use TLS")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: readfolder [options] FOLDER")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return wanted, err
	}
	wanted.folder = flags.Arg(0)
	if flags.NArg() > 1 { // options may follow the folder
		if err := flags.Parse(flags.Args()[1:]); err != nil {
			return wanted, err
		}
		if flags.NArg() > 0 {
			return wanted, fmt.Errorf("one FOLDER is wanted, not %s too", flags.Arg(0))
		}
	}
	if wanted.folder == "" {
		flags.Usage()
		return wanted, errors.New("one FOLDER is wanted")
	}
	info, err := os.Stat(wanted.folder)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", wanted.folder)
	}
	return wanted, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	wanted, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return allRead
	}
	if err != nil {
		fmt.Fprintln(stderr, "readfolder:", err)
		return notStarted
	}
	client, err := dial(wanted)
	if err != nil {
		fmt.Fprintln(stderr, "readfolder:", err)
		return notStarted
	}
	defer client.Close()
	told := &report{
		out: stdout, progress: stderr, began: time.Now(), sources: &sources{paths: map[string]string{}},
	}
	err = read(ctx, client, wanted, told)
	told.close()
	if ctx.Err() != nil {
		return interrupted
	}
	if err != nil {
		fmt.Fprintln(stderr, "readfolder:", err)
		if told.pages == 0 {
			return notStarted
		}
	}
	if err != nil || told.failed > 0 {
		return someFailed
	}
	return allRead
}

func dial(wanted options) (*ocrmux.Client, error) {
	dialing := []ocrmux.DialOption{ocrmux.WithToken(os.Getenv("OCRMUX_TOKEN"))}
	if wanted.caFile != "" {
		dialing = append(dialing, ocrmux.WithTLS(ocrmux.TLS{CAFile: wanted.caFile}))
	}
	return ocrmux.Dial(wanted.target, dialing...)
}

// read reads the folder's files; its error is that of the stream or of the output.
func read(ctx context.Context, client *ocrmux.Client, wanted options, told *report) error {
	calling := []ocrmux.CallOption{
		ocrmux.WithConcurrency(wanted.concurrency),
		ocrmux.WithReconnectHook(told.reconnect),
	}
	if wanted.digestFirst {
		calling = append(calling, ocrmux.WithDigestFirst())
	}
	for answer, err := range client.StreamRecognize(ctx, told.sources.walk(wanted.folder), calling...) {
		if err == nil {
			err = told.answer(answer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
