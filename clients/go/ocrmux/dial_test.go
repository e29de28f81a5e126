package ocrmux

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	preprocessv1 "github.com/ocrmux/ocrmux/clients/go/gen/ocrmux/preprocess/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver/manual"
)

// certificates are a CA's PEM and a pair that it signed for 127.0.0.1 and for the name "ocr.test".
type certificates struct {
	ca, cert, key string // files
	caPEM         []byte
	pair          tls.Certificate
	pool          *x509.CertPool
}

func makeCertificates(t *testing.T) certificates {
	t.Helper()
	caKey, key := newKey(t), newKey(t)
	template := func(name string, number int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			BasicConstraintsValid: true, IsCA: number == 1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
	}
	root, leaf := template("test CA", 1), template("test server", 2)
	leaf.IPAddresses, leaf.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"ocr.test"}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name, kind string, der []byte) (string, []byte) {
		path, text := filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path, text
	}
	made := certificates{pool: x509.NewCertPool()}
	made.ca, made.caPEM = write("ca.pem", "CERTIFICATE", rootDER)
	made.cert, _ = write("cert.pem", "CERTIFICATE", leafDER)
	made.key, _ = write("key.pem", "EC PRIVATE KEY", keyDER)
	made.pool.AppendCertsFromPEM(made.caPEM)
	if made.pair, err = tls.LoadX509KeyPair(made.cert, made.key); err != nil {
		t.Fatal(err)
	}
	return made
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Over TLS the token and the tenant reach the server; a CA comes as a file or as bytes, and mutual TLS is had.
func TestCallsGoOverTLS(t *testing.T) {
	made := makeCertificates(t)
	fake := newFake()
	target := fake.start(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{made.pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: made.pool,
	})))
	for name, config := range map[string]TLS{
		"a CA file":         {CAFile: made.ca, CertFile: made.cert, KeyFile: made.key},
		"a CA":              {CA: made.caPEM, CertFile: made.cert, KeyFile: made.key},
		"an other name":     {CAFile: made.ca, CertFile: made.cert, KeyFile: made.key, ServerName: "ocr.test"},
		"the system's CAs":  {CertFile: made.cert, KeyFile: made.key},
		"no certificate":    {CAFile: made.ca},
		"an unsigned name":  {CAFile: made.ca, CertFile: made.cert, KeyFile: made.key, ServerName: "other.test"},
		"a list of targets": {CAFile: made.ca, CertFile: made.cert, KeyFile: made.key},
	} {
		t.Run(name, func(t *testing.T) {
			address := target
			if name == "a list of targets" {
				address = "ipv4:" + target + "," + target
			}
			client, _ := dial(t, address, WithTLS(config), WithToken("secret"), WithTenant("acme"))
			backoff := DefaultBackoff()
			backoff.Attempts = 0
			_, err := client.Recognize(t.Context(), []byte("a"), WithBackoff(backoff))
			switch name {
			case "the system's CAs", "no certificate", "an unsigned name":
				wantEqual(t, "code", wantError(t, err).Code, codes.Unavailable)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			headers := fake.seen().headers
			wantEqual(t, "token", headers.Get("authorization"), []string{"Bearer secret"})
			wantEqual(t, "tenant", headers.Get("ocrmux-tenant"), []string{"acme"})
		})
	}
}

// A token goes in the clear to loopback only.
func TestATokenNeedsTLS(t *testing.T) {
	for target, allowed := range map[string]bool{
		"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "dns:///localhost:1": true, "unix:/run/ocr": true,
		"ipv4:127.0.0.1:1,127.0.0.2:1": true, "passthrough:///127.0.0.1:1": true, "ipv6:[::1]:1": true,
		"10.0.0.1:1": false, "127.evil.test:1": false, "ocr:1": false, "dns:///ocr:1": false, "localhost.evil.test:1": false,
		"dns://10.0.0.1/localhost:1": false, "dns://10.0.0.1/127.0.0.1:1": true,
		"dns://127.0.0.1/ocr:1": false, "ipv4:127.0.0.1:1,10.0.0.1:1": false, ":1": false, "0.0.0.0:1": false,
	} {
		client, err := Dial(target, WithToken("secret"))
		if client != nil {
			_ = client.Close()
		}
		if (err == nil) != allowed || (err != nil && !errors.Is(err, ErrUsage)) {
			t.Errorf("%s: got %v", target, err)
		}
		if _, err := Dial("127.0.0.1:1", WithToken("secret"), WithGatewayTarget(target)); (err == nil) != allowed {
			t.Errorf("gateway %s: got %v", target, err)
		}
	}
}

// In the clear to loopback, a token goes with streams as well.
func TestATokenGoesWithStreams(t *testing.T) {
	fake := newFake()
	client, _ := dial(t, fake.start(t), WithToken("secret"), WithTenant("acme"))
	mustRead(t, client, contents("a"))
	wantEqual(t, "token", fake.seen().headers.Get("authorization"), []string{"Bearer secret"})
	wantEqual(t, "tenant", fake.seen().headers.Get("ocrmux-tenant"), []string{"acme"})
}

// What cannot be used is refused when the client is made.
func TestUnfitDialOptionsAreRefused(t *testing.T) {
	made := makeCertificates(t)
	for name, option := range map[string]DialOption{
		"CA twice":       WithTLS(TLS{CAFile: made.ca, CA: made.caPEM}),
		"no CA":          WithTLS(TLS{CA: []byte("x")}),
		"no CA file":     WithTLS(TLS{CAFile: filepath.Join(t.TempDir(), "gone")}),
		"half a pair":    WithTLS(TLS{CertFile: made.cert}),
		"key of another": WithTLS(TLS{CertFile: made.ca, KeyFile: made.key}),
		"token":          WithToken("a\nb"),
		"tenant":         WithTenant("ü"),
	} {
		if _, err := Dial("127.0.0.1:1", option); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %v, want ErrUsage", name, err)
		}
	}
}

// A URL, and a list with an address that is none, are refused when the client is made, with or without a token and for the
// gateway too; what gRPC resolves stays, also by a resolver of the program's own.
func TestUnfitTargetsAreRefused(t *testing.T) {
	ours := manual.NewBuilderWithScheme("ours")
	notURL := "a target is HOST:PORT, or a name that gRPC resolves, not a URL"
	for target, told := range map[string]string{
		"http://localhost:1": notURL, "HTTPS://ocr.example.org": notURL, "grpcs://127.0.0.1:1": notURL, "no-such:///x": notURL,
		"ipv4://10.0.0.1:1,10.0.0.2:1": `"" is no address`, "xds:///ocr": "google.golang.org/grpc/xds",
		"ipv4:10.0.0.1": `"10.0.0.1" is no address and port of ipv4`, "ipv4:10.0.0.1:1,ocr:1": `"ocr:1" is no address`,
		"ipv4:10.0.0.1:1,": `"" is no address`, "ipv4:[::1]:1": "is no address", "ipv6:10.0.0.1:1": "is no address",
		"ipv4:10.0.0.1:70000": "is no address",
		"ocr:1":               "", "localhost:1": "", "[::1]:1": "", "dns:///ocr:1": "", "dns:ocr:1": "", "DNS:///ocr:1": "",
		"unix:/run/ocr": "", "unix:///run/ocr": "", "passthrough:///ocr:1": "", "ours://a/ocr": "",
		"ipv4:10.0.0.1:1,10.0.0.2:1": "", "ipv6:[::1]:1": "", "ipv6:[::1]:1,[fe80::1]:2": "",
	} {
		resolvers := WithGRPC(grpc.WithResolvers(ours))
		checkRefusal(t, target, told, WithTLS(TLS{}), WithToken("secret"), resolvers)
		checkRefusal(t, target, told, resolvers)
		checkRefusal(t, "127.0.0.1:1", told, WithGatewayTarget(target), resolvers)
		if told != "" {
			checkRefusal(t, target, told, WithToken("secret"), resolvers) // the target is what is wrong, not the token
		}
	}
}

// checkRefusal wants Dial to fail with one line that says what is told; with nothing to tell, a client.
func checkRefusal(t *testing.T, target, told string, options ...DialOption) {
	t.Helper()
	client, err := Dial(target, options...)
	if client != nil {
		_ = client.Close()
	}
	if told == "" {
		if err != nil {
			t.Errorf("%s: got %v", target, err)
		}
		return
	}
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), told) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: got %v, want %s", target, err, told)
	}
}

// Calls go round robin over all addresses whose health service says SERVING.
func TestCallsGoToAllThatServe(t *testing.T) {
	fakes := []*fakeServer{newFake(), newFake(), newFake()}
	var targets []string
	for _, fake := range fakes {
		targets = append(targets, fake.start(t))
	}
	service := preprocessv1.PreprocessService_ServiceDesc.ServiceName
	fakes[2].health.SetServingStatus(service, healthpb.HealthCheckResponse_NOT_SERVING)
	client, _ := dial(t, "ipv4:"+strings.Join(targets, ","))
	read := func() {
		if _, err := client.Recognize(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
	}
	calls := func(n int) int { return fakes[n].seen().unaryCalls }
	eventually(t, "both that serve are called", func() bool {
		read()
		return calls(0) > 0 && calls(1) > 0
	})
	first, second := calls(0), calls(1)
	for range 10 {
		read()
	}
	wantEqual(t, "calls", []int{calls(0) - first, calls(1) - second, calls(2)}, []int{5, 5, 0})
	fakes[0].health.SetServingStatus(service, healthpb.HealthCheckResponse_NOT_SERVING)
	fakes[2].health.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	eventually(t, "the third is called", func() bool {
		read()
		return calls(2) > 0
	})
}

// A client takes answers of more than gRPC's own 4 MiB.
func TestLargeAnswersAreTaken(t *testing.T) {
	fake := newFake()
	fake.script = func(call fakeCall, _ int) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		_ = call.Send(limitsResponse(fake.limits))
		if _, err := call.Recv(); err != nil {
			return err
		}
		answer := pagesOf("item-0", nil)[0]
		answer.RawResponse = make([]byte, 20<<20)
		return call.Send(response([]*Answer{answer}))
	}
	client, _ := dial(t, fake.start(t))
	wantEqual(t, "answers", len(mustRead(t, client, contents("a"))), 1)
}
