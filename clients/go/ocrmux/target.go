package ocrmux

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/grpc/resolver"
)

var schemeOfURL = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)

// checkTarget refuses what gRPC itself would refuse with the first call only: a URL, whose scheme it takes for a part of a
// host's name, and a list with an address that is none. canonical is the target as gRPC understood it.
func checkTarget(target, canonical string) error {
	understood, err := url.Parse(canonical)
	if err != nil {
		return usage("the target %q: %v", target, err)
	}
	if written := schemeOfURL.FindStringSubmatch(target); written != nil && !strings.EqualFold(written[1], understood.Scheme) {
		if written[1] == "xds" {
			return usage("the target %q: gRPC resolves it where google.golang.org/grpc/xds is imported", target)
		}
		return usage("a target is HOST:PORT, or a name that gRPC resolves, not a URL: %q", target)
	}
	switch understood.Scheme {
	case "ipv4", "ipv6":
		if _, err := (addressList{understood.Scheme}).addresses(resolver.Target{URL: *understood}); err != nil {
			return usage("the target %q: %v", target, err)
		}
	}
	return nil
}

// onLoopback says whether nothing that is sent to the target leaves this machine. Of names only "localhost" is believed, and
// not where a name server is to be asked for it.
func onLoopback(target string) bool {
	scheme, rest, _ := strings.Cut(target, ":")
	named := true
	switch scheme {
	case "unix", "unix-abstract":
		return true
	case "dns", "passthrough":
		if path, absolute := strings.CutPrefix(rest, "//"); absolute {
			var nameServer string
			nameServer, rest, _ = strings.Cut(path, "/")
			named = nameServer == ""
		}
	case "ipv4", "ipv6":
		rest = strings.TrimLeft(rest, "/")
	default:
		rest = target
	}
	for _, address := range strings.Split(rest, ",") {
		if !loopbackHost(hostOf(address), named) {
			return false
		}
	}
	return true
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

func loopbackHost(host string, named bool) bool {
	if named && strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// addressList resolves targets such as "ipv4:10.0.0.1:50051,10.0.0.2:50051", which gRPC for Go has no resolver for.
type addressList struct{ scheme string }

// Scheme is of resolver.Builder.
func (a addressList) Scheme() string { return a.scheme }

// Build is of resolver.Builder.
func (a addressList) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	addresses, err := a.addresses(target)
	if err != nil {
		return nil, err
	}
	return fixedAddresses{}, cc.UpdateState(resolver.State{Addresses: addresses})
}

func (a addressList) addresses(target resolver.Target) ([]resolver.Address, error) {
	var addresses []resolver.Address
	for _, address := range a.list(target) {
		ip, err := netip.ParseAddrPort(address)
		if err != nil || ip.Addr().Is4() != (a.scheme == "ipv4") {
			return nil, fmt.Errorf("%q is no address and port of %s", address, a.scheme)
		}
		addresses = append(addresses, resolver.Address{Addr: address, ServerName: address})
	}
	return addresses, nil
}

// OverrideAuthority is of resolver.AuthorityOverrider; each address has a server name of its own.
func (a addressList) OverrideAuthority(target resolver.Target) string { return a.list(target)[0] }

func (a addressList) list(target resolver.Target) []string {
	endpoint, err := url.PathUnescape(target.Endpoint())
	if err != nil {
		endpoint = target.Endpoint()
	}
	return strings.Split(endpoint, ",")
}

type fixedAddresses struct{}

func (fixedAddresses) ResolveNow(resolver.ResolveNowOptions) {}
func (fixedAddresses) Close()                                {}
