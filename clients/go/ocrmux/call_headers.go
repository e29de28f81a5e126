package ocrmux

import (
	"context"
	"strings"
)

// callHeaders go with every call, health checks included.
type callHeaders struct {
	headers   map[string]string
	encrypted bool
}

func newCallHeaders(token, tenant string, encrypted bool) (*callHeaders, error) {
	headers := map[string]string{}
	for _, value := range []string{token, tenant} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, usage("a token and a tenant are printable ASCII")
		}
	}
	if token != "" {
		headers["authorization"] = "Bearer " + token
	}
	if tenant != "" {
		headers["ocrmux-tenant"] = tenant
	}
	return &callHeaders{headers, encrypted}, nil
}

// GetRequestMetadata is of credentials.PerRPCCredentials.
func (h *callHeaders) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return h.headers, nil
}

// RequireTransportSecurity is of credentials.PerRPCCredentials.
func (h *callHeaders) RequireTransportSecurity() bool { return h.encrypted }
