package delivery

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// exchanges makes requests with bodies, one after the other, and returns what came back of each, in words.
func exchanges(t *testing.T, transport *Transport, url string, bodies ...string) (answers []string) {
	t.Helper()
	for _, body := range bodies {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		answers = append(answers, exchange(ctx, transport, url, body))
		cancel()
	}
	return answers
}

func exchange(ctx context.Context, transport *Transport, url, body string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "error: " + err.Error()
	}
	defer response.Body.Close()
	got, err := io.ReadAll(io.LimitReader(response.Body, 10_000))
	if err != nil {
		return fmt.Sprintf("%d %s, error: %v", response.StatusCode, got, err)
	}
	return fmt.Sprintf("%d %.100s", response.StatusCode, got)
}

func newTransport(t *testing.T) *Transport {
	transport := NewTransport(loopback, Limits{})
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// What a receiver may answer, and whether the connection is used again afterwards.
func TestTransportReadsAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		response string
		want     string
		kept     bool
	}{
		"empty":                   {"HTTP/1.1 204 No Content\r\n\r\n", "204 ", true},
		"length":                  {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok", true},
		"chunked":                 {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "200 ok", true},
		"trailers":                {"HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", "200 ok", true},
		"interim":                 {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 ", true},
		"interim without end":     {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6), "error: malformed HTTP response: too many interim responses", false},
		"upgrade":                 {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "101 ", false},
		"redirect":                {"HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "307 ", true},
		"until the end":           {"HTTP/1.0 200 OK\r\n\r\nok", "200 ok", false},
		"asked to close":          {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "200 ok", false},
		"cut off":                 {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "200 ok, error: unexpected EOF", false},
		"cut off in the header":   {"HTTP/1.1 200 OK\r\nConte", `error: malformed MIME header: missing colon: "Conte"`, false},
		"nothing":                 {"", "error: unexpected EOF", false},
		"garbage":                 {"SSH-2.0-OpenSSH\r\n\r\n", `error: malformed HTTP response "SSH-2.0-OpenSSH"`, false},
		"more than was said":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", "200 ok", false},
		"a header without an end": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader), "error: " + errHeaderTooLarge.Error(), false},
		"too many headers":        {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHeader/6), "error: " + errHeaderTooLarge.Error(), false},
		"two lengths":             {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", `error: http: message cannot contain multiple Content-Length headers; got ["2" "3"]`, false},
		"a body without an end":   {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 100_000), "200 " + strings.Repeat("x", 100), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var connections atomic.Int64
			address := listener(t, func(n int, c net.Conn, r *bufio.Reader) {
				connections.Add(1)
				for readRequest(r) == nil {
					io.WriteString(c, test.response)
					if !test.kept {
						return
					}
				}
			})
			for _, got := range exchanges(t, newTransport(t), address, "one", "two") {
				if got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			}
			if n := connections.Load(); (n == 1) != test.kept {
				t.Errorf("two requests took %d connections", n)
			}
		})
	}
}

// A receiver that answers before it has read the request, and closes, is heard all the same.
func TestTransportHearsAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	address := listener(t, func(n int, c net.Conn, r *bufio.Reader) {
		r.ReadString('\n')
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, r)
	})
	if got := exchanges(t, newTransport(t), address, strings.Repeat("x", 1<<20)); got[0] != "413 " {
		t.Errorf("got %q", got)
	}
}

func TestTransportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"before the answer": "", "in the body": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan struct{}, 2)
			address := listener(t, func(n int, c net.Conn, r *bufio.Reader) {
				readRequest(r)
				io.WriteString(c, answer)
				heard <- struct{}{}
				io.Copy(io.Discard, r) // until the other side closes
			})
			transport := newTransport(t)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-heard; cancel() }()
			if got := exchange(ctx, transport, address, "x"); !strings.Contains(got, "error: context canceled") && !strings.Contains(got, "i/o timeout") {
				t.Errorf("cancelled: %q", got)
			}
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if got := exchange(ctx, transport, address, "x"); !strings.Contains(got, "deadline exceeded") && !strings.Contains(got, "i/o timeout") {
				t.Errorf("too late: %q", got)
			}
			if len(transport.idle) != 0 {
				t.Error("a connection was kept")
			}
		})
	}
}

// Over TLS the certificate is that of the host, and connections are kept as well.
func TestTransportSpeaksTLS(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, body)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	transport := newTransport(t)
	if got := exchanges(t, transport, server.URL, "x"); !strings.Contains(got[0], "certificate signed by unknown authority") {
		t.Errorf("an unknown authority: %q", got)
	}
	transport.TLS = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	before := connections.Load()
	host := strings.TrimPrefix(server.URL, "https://")
	for i, got := range exchanges(t, transport, server.URL, "0", "1", "2") {
		if want := fmt.Sprintf("200 HTTP/1.1 %s %d", host, i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := connections.Load() - before; n != 1 {
		t.Errorf("three requests took %d connections", n)
	}
}

// Many at once, to several receivers, each with its own answer: nothing is mixed up, and connections are shared among those that come
// after one another.
func TestTransportMixesNothingUp(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	transport := newTransport(t)
	var senders sync.WaitGroup
	for s := range 3 {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%d %s", s, body)
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.Start()
		t.Cleanup(server.Close)
		for g := range 8 {
			senders.Go(func() {
				for i := range 200 {
					body := fmt.Sprintf("%d/%d", g, i)
					if got, want := exchange(context.Background(), transport, server.URL, body), fmt.Sprintf("200 %d %s", s, body); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
			})
		}
	}
	senders.Wait()
	if n := connections.Load(); n > 24 {
		t.Errorf("24 senders took %d connections", n)
	}
}

// Kept connections are closed after a while, and there are never more than the limit.
func TestTransportKeepsNotForEver(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	transport := newTransport(t)
	transport.maxIdle = 2
	var bodies []io.Closer
	for range 3 {
		request, err := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(nil))
		check(t, err)
		response, err := transport.RoundTrip(request)
		check(t, err)
		io.Copy(io.Discard, response.Body)
		bodies = append(bodies, response.Body)
	}
	for _, b := range bodies {
		check(t, errors.Join(b.Close(), b.Close()))
	}
	kept := func() (n int) {
		transport.mu.Lock()
		defer transport.mu.Unlock()
		for _, list := range transport.idle {
			n += len(list)
		}
		return n
	}
	if n := kept(); n != 2 {
		t.Fatalf("%d connections are kept, want 2", n)
	}
	transport.sweep(time.Hour)
	if n := kept(); n != 2 || transport.timer == nil {
		t.Errorf("after a sweep of what is an hour old, %d are left", n)
	}
	transport.CloseIdleConnections()
	if n := kept(); n != 0 || transport.timer != nil {
		t.Errorf("%d are left", n)
	}
}

func TestTransportRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	transport := newTransport(t)
	for url, want := range map[string]string{
		"ftp://example.com/":      `the scheme "ftp" is not supported`,
		"http://-\u00e4.example/": "the host's name cannot be written in ASCII",
		"http://10.0.0.1/":        "10.0.0.1 is not a public address",
	} {
		if got := exchanges(t, transport, url, "x"); !strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if _, err := transport.dialer.Dial("tcp", "169.254.169.254:80"); !errors.As(err, new(*BlockedTargetError)) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the metadata service: %v", err)
	}
}
