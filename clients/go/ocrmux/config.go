package ocrmux

import (
	"time"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Answer is the answer for one page of an item, or for the item as a whole (Page 0): a Document or an error, see ErrorOf.
type Answer = ocrv1.PageAnswer

// Feature is what to read.
type Feature = ocrv1.Feature

// The features.
const (
	// FeatureText: lines and words.
	FeatureText = ocrv1.Feature_FEATURE_TEXT
	// FeatureTable: cells with row, column and spans.
	FeatureTable = ocrv1.Feature_FEATURE_TABLE
	// FeatureIDDocument: named fields of identity documents.
	FeatureIDDocument = ocrv1.Feature_FEATURE_ID_DOCUMENT
)

// CachePolicy is how the server's cache is used.
type CachePolicy = ocrv1.CachePolicy

// The uses of the cache.
const (
	// CacheUse: look and keep.
	CacheUse = ocrv1.CachePolicy_CACHE_POLICY_USE
	// CacheRefresh: ask anew and keep.
	CacheRefresh = ocrv1.CachePolicy_CACHE_POLICY_REFRESH
	// CacheBypass: neither look nor keep.
	CacheBypass = ocrv1.CachePolicy_CACHE_POLICY_BYPASS
)

// Priority is who goes first when items wait for one provider. Lower ones are never starved.
type Priority = ocrv1.Priority

// The priorities.
const (
	PriorityLow    = ocrv1.Priority_PRIORITY_LOW
	PriorityNormal = ocrv1.Priority_PRIORITY_NORMAL
	PriorityHigh   = ocrv1.Priority_PRIORITY_HIGH
)

// IDDocument is which identity document to look for.
type IDDocument = ocrv1.IdDocument

// The identity documents.
const (
	IDIdentityCard    = ocrv1.IdDocument_ID_DOCUMENT_IDENTITY_CARD
	IDBusinessLicence = ocrv1.IdDocument_ID_DOCUMENT_BUSINESS_LICENCE
	IDBankCard        = ocrv1.IdDocument_ID_DOCUMENT_BANK_CARD
	IDPassport        = ocrv1.IdDocument_ID_DOCUMENT_PASSPORT
)

// Config is how items are to be read. What is left at its zero value is the server's to choose.
type Config struct {
	// Features is what to read; none: text.
	Features []Feature
	// Provider names who reads, as ListProviders does. At most one of Provider and Route.
	Provider string
	// Route names a route of the server's.
	Route string
	// Languages to expect, BCP 47.
	Languages []string
	// Cache is how the cache is used; zero: CacheUse.
	Cache CachePolicy
	// Priority is who goes first; zero: PriorityNormal.
	Priority Priority
	// ItemTimeout is the server's time for one item, of a document for each of its pages; 0: the server's default.
	ItemTimeout time.Duration
	// ProviderOptions are options of the provider by its own names.
	ProviderOptions map[string]string
	// IncludeRawResponse asks for the provider's own answer too.
	IncludeRawResponse bool
	// IDDocument is which document to look for; with FeatureIDDocument only.
	IDDocument IDDocument
	// Profile is how pages are normalised; empty: "auto".
	Profile string
	// Overrides are parameters of the profile's steps, by "step.parameter".
	Overrides map[string]string
}

func (c Config) check() error {
	switch {
	case c.Provider != "" && c.Route != "":
		return usage("a provider and a route cannot be asked for at once")
	case c.ItemTimeout < 0:
		return usage("ItemTimeout is 0 or more, not %v", c.ItemTimeout)
	case c.IDDocument != 0 && !c.reads(FeatureIDDocument):
		return usage("IDDocument goes with FeatureIDDocument only")
	}
	if _, err := proto.Marshal(c.opening()); err != nil {
		return usage("the config cannot be sent: %v", err)
	}
	return nil
}

func (c Config) reads(wanted Feature) bool {
	for _, feature := range c.Features {
		if feature == wanted {
			return true
		}
	}
	return false
}

// recognition is the part that the gateway reads.
func (c Config) recognition() *ocrv1.RecognitionConfig {
	config := &ocrv1.RecognitionConfig{
		Features:           c.Features,
		Languages:          c.Languages,
		CachePolicy:        c.Cache,
		Priority:           c.Priority,
		ProviderOptions:    c.ProviderOptions,
		IncludeRawResponse: c.IncludeRawResponse,
		IdDocument:         c.IDDocument,
	}
	if c.Provider != "" {
		config.Reader = &ocrv1.RecognitionConfig_Provider{Provider: c.Provider}
	}
	if c.Route != "" {
		config.Reader = &ocrv1.RecognitionConfig_Route{Route: c.Route}
	}
	if c.ItemTimeout > 0 {
		config.ItemTimeout = durationpb.New(c.ItemTimeout)
	}
	return config
}

// normalization is the part that the preprocess service reads.
func (c Config) normalization() *preprocessv1.NormalizationConfig {
	return &preprocessv1.NormalizationConfig{Profile: c.Profile, Overrides: c.Overrides}
}

// opening is the first request of a stream.
func (c Config) opening() *preprocessv1.StreamRecognizeRequest {
	return &preprocessv1.StreamRecognizeRequest{
		Message: &preprocessv1.StreamRecognizeRequest_Config{
			Config: &preprocessv1.RecognizeStreamConfig{
				Recognition:    c.recognition(),
				Normalization:  c.normalization(),
				BatchedAnswers: true,
			},
		},
	}
}
