// Package ocrmux is the Go client of ocrmux, an OCR multiplexer: it reads images and documents through a preprocess service,
// one at a time or many over a stream that outlives broken connections.
//
// Dial makes a Client. Client.Recognize reads one image or document, Client.StreamRecognize many; Client.ListProviders tells who
// can read. Answers are the generated messages, one a page; ErrorOf gives an answer's error. A call that fails gives an
// *Error with the gRPC code and the stable reason of the contract, or wraps ErrUsage where the caller is at fault.
//
// What every client of ocrmux does, and the limits, are in docs/clients.md of the repository; what the services promise is in
// docs/api.md.
package ocrmux
