package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/outbox/profile"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
}

// to is a target at an address.
func to(t *testing.T, address string) *target {
	t.Helper()
	u, err := url.Parse(address)
	check(t, err)
	p := profile.Native(nil)
	p.Timeout = 5 * time.Second
	return &target{url: u, profile: p, schedule: p.Schedule, sign: func(http.Header, profile.Message, time.Time) {}}
}

func testSender(t *testing.T, allowed ...netip.Prefix) *sender {
	transport := NewTransport(allowed, Limits{})
	t.Cleanup(transport.CloseIdleConnections)
	return &sender{transport: transport, clock: time.Now}
}

var hello = profile.Message{ID: "1", Body: []byte(`{"hello":"world"}`)}

// listener accepts connections and hands each to a function.
func listener(t *testing.T, serve func(n int, c net.Conn, r *bufio.Reader)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(n, c, bufio.NewReader(c))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

func readRequest(r *bufio.Reader) error {
	request, err := http.ReadRequest(r)
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	return err
}

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// A receiver that read a request and closed the connection may have worked on it: the transport must not send it again by itself,
// though the connection was a kept one.
func TestTransportRepeatsNothingThatWasRead(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	address := listener(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readRequest(r) != nil {
			return
		}
		requests.Add(1)
		io.WriteString(c, okResponse)
		if readRequest(r) == nil { // the second on the same connection: read, and no answer
			requests.Add(1)
		}
	})
	s, target := testSender(t, loopback...), to(t, address)
	if a := s.attempt(context.Background(), target, hello); a.status != 200 {
		t.Fatalf("first attempt: %+v", a)
	}
	a := s.attempt(context.Background(), target, hello)
	if a.answered || !strings.HasPrefix(a.problem, "reset: ") {
		t.Errorf("second attempt: %+v", a)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("the receiver read %d requests for 2 attempts", n)
	}
}

// A kept connection that turned out to be closed before anything was written costs no attempt.
func TestTransportReplacesAConnectionThatWasClosed(t *testing.T) {
	t.Parallel()
	var connections, requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1) }))
	closed := make(chan struct{}, 1)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed:
			signal(closed)
		}
	}
	server.Start()
	defer server.Close()
	s, target := testSender(t, loopback...), to(t, server.URL)
	for range 3 {
		if a := s.attempt(context.Background(), target, hello); a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("3 attempts took %d connections", n)
	}
	for range 20 { // each time the race between the close and the next request is another
		server.CloseClientConnections()
		a := s.attempt(context.Background(), target, hello)
		if a.status != 200 && !strings.HasPrefix(a.problem, "reset: ") {
			t.Fatalf("%+v", a)
		}
	}
	if n := requests.Load(); n > 23 {
		t.Errorf("%d requests for 23 attempts", n)
	}
}

func TestProblemsInWords(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	secure.Config.ErrorLog = nil
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer plain.Close()
	gibberish := listener(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readRequest(r)
		io.WriteString(c, "220 smtp.example.com ESMTP\r\n")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	refusing := "http://" + l.Addr().String()
	l.Close()
	for name, c := range map[string]struct{ address, want string }{
		"refused":  {refusing + "/?token=secret", "refused: "},
		"dns":      {"http://nowhere.invalid/?token=secret", "dns: "},
		"tls":      {secure.URL, "tls: the certificate is signed by an unknown authority"},
		"no tls":   {strings.Replace(plain.URL, "http:", "https:", 1), "tls: "},
		"timeout":  {plain.URL, "timeout: "},
		"protocol": {gibberish, "protocol: "},
		"blocked":  {"http://10.1.2.3/?token=secret", "blocked: 10.1.2.3 "},
		"named":    {"http://localhost:1/?token=secret", "blocked: "},
	} {
		s, target := testSender(t, loopback...), to(t, c.address)
		if name == "named" {
			s = testSender(t) // what the name leads to is not allowed here
		}
		if name == "timeout" {
			target.profile.Timeout = 50 * time.Millisecond
		}
		a := s.attempt(context.Background(), target, hello)
		if a.answered || !strings.HasPrefix(a.problem, c.want) {
			t.Errorf("%s: %+v", name, a)
		}
		if strings.Contains(a.problem, "secret") {
			t.Errorf("%s: the problem shows the query: %s", name, a.problem)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for address, allowed := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "172.15.0.1": true, "172.32.0.1": true,
		"100.63.255.255": true, "100.128.0.1": true, "11.0.0.1": true,
		"127.0.0.1": false, "127.255.255.254": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fc00::1": false, "fd12:3456::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fd00:ec2::254": false,
		"100.64.0.1": false, "100.127.255.255": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"224.0.0.1": false, "239.255.255.255": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "::127.0.0.1": false,
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "2001:db8::1": false, "198.18.0.1": false, "192.0.0.170": false,
		"100::1": false, "5f00::1": false,
	} {
		err := checkTarget(netip.MustParseAddr(address), nil)
		if (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed %v", address, err, allowed)
		}
		if err != nil && !errors.As(err, new(*BlockedTargetError)) {
			t.Errorf("%s: %T", address, err)
		}
	}
	networks := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}
	for address, allowed := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "::1": true, "127.0.0.1": false} {
		if err := checkTarget(netip.MustParseAddr(address), networks); (err == nil) != allowed {
			t.Errorf("%s with some networks allowed: %v, want allowed %v", address, err, allowed)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-5": 0, "99999999999": maxRetryAfter, "soon": 0,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): 0,
		now.Add(1000 * time.Hour).Format(http.TimeFormat): maxRetryAfter,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestRequestsAreHTTP1AndUncompressed(t *testing.T) {
	t.Parallel()
	var got *http.Request
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	s := testSender(t, loopback...)
	s.transport.(*Transport).TLS = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	if a := s.attempt(context.Background(), to(t, server.URL), hello); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	if got.ProtoMajor != 1 || got.Header.Get("Accept-Encoding") != "" || got.Header.Get("Idempotency-Key") != "" || got.ContentLength != int64(len(hello.Body)) {
		t.Errorf("the request was %s, %v", got.Proto, got.Header)
	}
}

// Whatever a receiver answers, what is kept of it is small and can be stored and shown, and what it asks for is within bounds.
func FuzzAnswers(f *testing.F) {
	f.Add("X-Trace", "abc", "120", []byte("said"))
	f.Add("x\x00y", "\xff\x00", "Fri, 02 Jan 2026 03:04:05 GMT", []byte("\xf0\x9f\x98"))
	f.Add("A", strings.Repeat("ü", 300), "-1", []byte(strings.Repeat("ü", 600)))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, name, value, after string, body []byte) {
		kept := keptHeaders(http.Header{name: {value, value}, "Zz": {value}})
		object := map[string]string{}
		if err := json.Unmarshal([]byte(kept), &object); kept != "" && err != nil || len(kept) > maxHeaders || strings.Contains(kept, `\u0000`) {
			t.Errorf("headers %q, %v", kept, err)
		}
		for _, v := range object {
			if len(v) > 3*maxValue { // a byte that is no text becomes a mark of three
				t.Errorf("a value of %d bytes", len(v))
			}
		}
		if text := clean(body); !utf8.ValidString(text) || strings.Contains(text, "\x00") || len(text) > maxExcerpt {
			t.Errorf("excerpt %q", text)
		}
		if asked := retryAfter(after, now); asked < 0 || asked > maxRetryAfter {
			t.Errorf("Retry-After %q is %s", after, asked)
		}
	})
}
