package ocrmux

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	gatewayv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/gateway/v1"
	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // the client's side of health checks
	"google.golang.org/grpc/keepalive"
)

const (
	messageMaxBytes  = 64 << 20
	keepaliveTime    = 60 * time.Second
	keepaliveTimeout = 20 * time.Second
)

// connecting bounds gRPC's own waits between attempts to connect, during which it refuses calls without trying: they are not to
// outlast the waits of a Backoff.
var connecting = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 10 * time.Second,
}

// TLS says how servers are known, and how they know this client. Its zero value is the system's roots.
type TLS struct {
	// CAFile is a PEM file of roots instead of the system's.
	CAFile string
	// CA is the PEM itself instead of CAFile.
	CA []byte
	// CertFile and KeyFile are PEM files of a certificate of the client's own, for mutual TLS.
	CertFile, KeyFile string
	// ServerName is the name in the server's certificate where it is not the target's.
	ServerName string
}

// DialOption says how a client is made.
type DialOption func(*dialSettings)

// WithTLS encrypts the connection; without it, it is in the clear.
func WithTLS(config TLS) DialOption {
	return func(s *dialSettings) { s.tls = &config }
}

// WithToken sends "authorization: Bearer …" with every call. Without TLS, Dial refuses it unless the target is loopback.
func WithToken(token string) DialOption {
	return func(s *dialSettings) { s.token = token }
}

// WithTenant sends "ocrmux-tenant" with every call: 1 to 64 letters, digits and any of ". _ -".
func WithTenant(tenant string) DialOption {
	return func(s *dialSettings) { s.tenant = tenant }
}

// WithGatewayTarget has ListProviders ask this target, a gateway, instead of the client's own.
func WithGatewayTarget(target string) DialOption {
	return func(s *dialSettings) { s.gatewayTarget = target }
}

// WithGRPC adds options of gRPC's own, such as interceptors, behind the client's.
func WithGRPC(options ...grpc.DialOption) DialOption {
	return func(s *dialSettings) { s.grpc = append(s.grpc, options...) }
}

type dialSettings struct {
	tls           *TLS
	token         string
	tenant        string
	gatewayTarget string
	grpc          []grpc.DialOption
}

// options are those of a connection; the health of its servers is looked at where a service is named.
func (s dialSettings) options(service string) ([]grpc.DialOption, error) {
	transport := insecure.NewCredentials()
	if s.tls != nil {
		config, err := s.tls.config()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	headers, err := newCallHeaders(s.token, s.tenant, s.tls != nil)
	if err != nil {
		return nil, err
	}
	serviceConfig := `{"loadBalancingConfig": [{"round_robin": {}}]}`
	if service != "" {
		watched := `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": %q}}`
		serviceConfig = fmt.Sprintf(watched, service)
	}
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(headers),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		grpc.WithResolvers(addressList{"ipv4"}, addressList{"ipv6"}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageMaxBytes), grpc.MaxCallSendMsgSize(messageMaxBytes)),
		grpc.WithConnectParams(connecting),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
	}, s.grpc...), nil
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	roots := t.CA
	if t.CAFile != "" {
		if roots != nil {
			return nil, usage("both CA and CAFile are given")
		}
		read, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, usage("the CA file cannot be read: %v", err)
		}
		roots = read
	}
	if roots != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(roots) {
			return nil, usage("the CA has no certificate in PEM")
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, usage("CertFile and KeyFile go together")
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, usage("the client's certificate cannot be used: %v", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Dial makes a client of the preprocess service at the target: "host:port", or any name that gRPC resolves
// ("dns:///ocr:50051", "ipv4:10.0.0.1:50051,10.0.0.2:50051"). Calls go round robin over all its addresses whose health
// service says SERVING. Dial connects to nothing; its errors are ErrUsage, a URL as the target among them.
func Dial(target string, options ...DialOption) (*Client, error) {
	var settings dialSettings
	for _, option := range options {
		option(&settings)
	}
	preprocess, err := settings.dial(target, preprocessv1.PreprocessService_ServiceDesc.ServiceName)
	if err != nil {
		return nil, err
	}
	gatewayTarget, service := target, "" // a gateway alone says nothing of the preprocess service's health
	if settings.gatewayTarget != "" {
		gatewayTarget, service = settings.gatewayTarget, gatewayv1.OcrGatewayService_ServiceDesc.ServiceName
	}
	gateway, err := settings.dial(gatewayTarget, service)
	if err != nil {
		_ = preprocess.Close()
		return nil, err
	}
	return newClient(preprocess, gateway), nil
}

func (s dialSettings) dial(target, service string) (*grpc.ClientConn, error) {
	options, err := s.options(service)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, usage("the target %q: %v", target, err)
	}
	err = checkTarget(target, conn.CanonicalTarget())
	if err == nil && s.token != "" && s.tls == nil && !onLoopback(target) {
		err = usage("a token without TLS would go in the clear to %s: use WithTLS", target)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}
