package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	ocrv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/ocr/v1"
	"github.com/ocrmux/ocrmux/clients/go/ocrmux"
)

// order is the FILE that the driver is given; tests/conformance/README.md has its keys.
type order struct {
	Target        string          `json:"target"`
	GatewayTarget string          `json:"gateway_target"`
	TLS           *tlsOrder       `json:"tls"`
	Token         string          `json:"token"`
	Tenant        string          `json:"tenant"`
	Call          string          `json:"call"`
	Config        configOrder     `json:"config"`
	Policy        policyOrder     `json:"policy"`
	Items         []itemOrder     `json:"items"`
	Generated     *generatedOrder `json:"generated"`
	HoldAfter     *int            `json:"hold_after"`
	CancelAfter   *int            `json:"cancel_after"`
}

type tlsOrder struct {
	CAFile   string `json:"ca_file"`
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

type configOrder struct {
	Features           []string          `json:"features"`
	Provider           string            `json:"provider"`
	Route              string            `json:"route"`
	Languages          []string          `json:"languages"`
	Cache              string            `json:"cache"`
	Priority           string            `json:"priority"`
	ItemTimeoutS       float64           `json:"item_timeout_s"`
	ProviderOptions    map[string]string `json:"provider_options"`
	IncludeRawResponse bool              `json:"include_raw_response"`
	Profile            string            `json:"profile"`
	Overrides          map[string]string `json:"overrides"`
	IDDocument         string            `json:"id_document"`
}

type policyOrder struct {
	Concurrency  *int          `json:"concurrency"`
	Ordered      *bool         `json:"ordered"`
	DigestFirst  bool          `json:"digest_first"`
	SendsPerItem *int          `json:"sends_per_item"`
	SilenceS     *float64      `json:"silence_s"`
	TimeoutS     *float64      `json:"timeout_s"`
	Backoff      *backoffOrder `json:"backoff"`
}

type backoffOrder struct {
	FirstS   *float64 `json:"first_s"`
	Factor   *float64 `json:"factor"`
	LongestS *float64 `json:"longest_s"`
	Attempts *int     `json:"attempts"`
}

type itemOrder struct {
	ID       string       `json:"id"`
	Path     string       `json:"path"`
	InMemory bool         `json:"in_memory"`
	Regions  [][4]float64 `json:"regions"`
	Password string       `json:"password"`
}

type generatedOrder struct {
	Count int    `json:"count"`
	Bytes int    `json:"bytes"`
	Base  string `json:"base"`
}

func readOrder(path string) (*order, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	wanted := &order{}
	if err := json.Unmarshal(text, wanted); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return wanted, nil
}

func (o *order) client() (*ocrmux.Client, error) {
	options := []ocrmux.DialOption{
		ocrmux.WithToken(o.Token), ocrmux.WithTenant(o.Tenant), ocrmux.WithGatewayTarget(o.GatewayTarget),
	}
	if o.TLS != nil {
		options = append(options, ocrmux.WithTLS(ocrmux.TLS{
			CAFile: o.TLS.CAFile, CertFile: o.TLS.CertFile, KeyFile: o.TLS.KeyFile,
		}))
	}
	return ocrmux.Dial(o.Target, options...)
}

func (o *order) callOptions(hook func(ocrmux.Reconnect)) ([]ocrmux.CallOption, error) {
	config, err := o.Config.config()
	if err != nil {
		return nil, err
	}
	options := []ocrmux.CallOption{ocrmux.WithConfig(config), ocrmux.WithReconnectHook(hook)}
	policy := o.Policy
	if policy.Concurrency != nil {
		options = append(options, ocrmux.WithConcurrency(*policy.Concurrency))
	}
	if policy.Ordered != nil && !*policy.Ordered {
		options = append(options, ocrmux.WithUnordered())
	}
	if policy.DigestFirst {
		options = append(options, ocrmux.WithDigestFirst())
	}
	if policy.SendsPerItem != nil {
		options = append(options, ocrmux.WithSendsPerItem(*policy.SendsPerItem))
	}
	if policy.SilenceS != nil {
		options = append(options, ocrmux.WithSilence(seconds(*policy.SilenceS)))
	}
	if policy.TimeoutS != nil {
		options = append(options, ocrmux.WithTimeout(seconds(*policy.TimeoutS)))
	}
	if policy.Backoff != nil {
		options = append(options, ocrmux.WithBackoff(policy.Backoff.backoff(o.Call == "stream")))
	}
	return options, nil
}

func (b backoffOrder) backoff(stream bool) ocrmux.Backoff {
	backoff := ocrmux.DefaultBackoff()
	if !stream {
		backoff.Attempts = 4
	}
	if b.FirstS != nil {
		backoff.First = seconds(*b.FirstS)
	}
	if b.Factor != nil {
		backoff.Factor = *b.Factor
	}
	if b.LongestS != nil {
		backoff.Longest = seconds(*b.LongestS)
	}
	if b.Attempts != nil {
		backoff.Attempts = *b.Attempts
	}
	return backoff
}

func (c configOrder) config() (ocrmux.Config, error) {
	config := ocrmux.Config{
		Provider:           c.Provider,
		Route:              c.Route,
		Languages:          c.Languages,
		ItemTimeout:        seconds(c.ItemTimeoutS),
		ProviderOptions:    c.ProviderOptions,
		IncludeRawResponse: c.IncludeRawResponse,
		Profile:            c.Profile,
		Overrides:          c.Overrides,
	}
	for _, name := range c.Features {
		feature, err := enumOf(ocrv1.Feature_value, "FEATURE_", name)
		if err != nil {
			return config, err
		}
		config.Features = append(config.Features, ocrmux.Feature(feature))
	}
	cache, err := enumOf(ocrv1.CachePolicy_value, "CACHE_POLICY_", c.Cache)
	if err != nil {
		return config, err
	}
	priority, err := enumOf(ocrv1.Priority_value, "PRIORITY_", c.Priority)
	if err != nil {
		return config, err
	}
	document, err := enumOf(ocrv1.IdDocument_value, "ID_DOCUMENT_", c.IDDocument)
	config.Cache, config.Priority = ocrmux.CachePolicy(cache), ocrmux.Priority(priority)
	config.IDDocument = ocrmux.IDDocument(document)
	return config, err
}

func enumOf(values map[string]int32, prefix, name string) (int32, error) {
	if name == "" {
		return 0, nil
	}
	value, known := values[prefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
	if !known {
		return 0, fmt.Errorf("%q is none of %s…", name, prefix)
	}
	return value, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
