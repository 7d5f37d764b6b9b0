package delivery

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// However an address is written, nothing is sent to one that is not public; the attempt says why.
func TestOddAddressesAreBlocked(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{
		"127.0.0.1", "127.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f000001", "0x7f.0.0.1", "127.000.000.001", "0", "0.0.0.0",
		"localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]",
		"[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1%25lo]", "100.100.100.200",
		"198.18.0.1", "192.0.2.1", "[2001:db8::1]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "①②⑦.⓪.⓪.①",
	} {
		a := testSender(t).attempt(context.Background(), to(t, "http://"+host+port+"/"), hello)
		switch class := classOf(a.problem); {
		case a.answered, class != "blocked" && class != "dns" && class != "network":
			t.Errorf("%s: %+v", host, a)
		case class != "blocked" && strings.Contains(host, ":"):
			t.Errorf("%s is an address, and not blocked: %s", host, a.problem)
		case strings.Contains(strings.ToLower(host), "localhost") && strings.ContainsAny(a.problem, "0123456789"):
			t.Errorf("%s: %s tells an address", host, a.problem)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// A name that leads to an allowed address first and elsewhere later gets nowhere the second time: there is no time between the check and
// the connection.
func TestNameThatChangesItsMind(t *testing.T) {
	t.Parallel()
	var requests, lookups atomic.Int64
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	check(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Connection", "close")
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	resolver := nameServer(t, func() net.IP { return net.IPv4(127, 0, 0, byte(lookups.Add(1))) }) // 127.0.0.1, 127.0.0.2, …
	transport := NewTransport([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Limits{})
	transport.dialer.Resolver = resolver
	t.Cleanup(transport.CloseIdleConnections)
	s := sender{transport: transport, clock: time.Now}
	target := to(t, "http://receiver.example:"+l.Addr().String()[strings.LastIndex(l.Addr().String(), ":")+1:])
	if a := s.attempt(context.Background(), target, hello); a.status != 200 {
		t.Fatalf("first: %+v", a)
	}
	if a := s.attempt(context.Background(), target, hello); a.answered || !strings.HasPrefix(a.problem, `blocked: the name "receiver.example" leads to`) ||
		strings.Contains(a.problem, "127.0.0") {
		t.Errorf("second: %+v", a)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests arrived", n)
	}
}

// nameServer answers questions for addresses, over UDP, with whatever address says.
func nameServer(t *testing.T, address func() net.IP) *net.Resolver {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			buffer := make([]byte, 1500)
			n, from, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			end := 12 // behind the header (RFC 1035, 4.1)
			for end < n && buffer[end] != 0 {
				end += 1 + int(buffer[end])
			}
			kind := binary.BigEndian.Uint16(buffer[end+1:])
			answer := append([]byte{}, buffer[:end+5]...)
			copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
			if kind == 1 { // A
				answer[7] = 1
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				answer = append(answer, address().To4()...)
			}
			c.WriteTo(answer, from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", c.LocalAddr().String())
	}}
}
