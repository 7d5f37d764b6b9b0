package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/idna"
)

// Transport makes requests over HTTP/1.1, one at a time on a connection, and keeps connections for those that come next.
//
// It takes the place of [http.Transport], which has two goroutines for each connection: handing a request to one and the response back
// from the other took a third of the processor time of a request. Here the goroutine that sends does everything itself, in net/http's
// words (Request.Write, ReadResponse), and it is plain what became of a request. It connects to nobody whom checkTarget refuses,
// whatever a name resolves to at that moment, and to nobody on behalf of somebody: no proxy, no redirect.
//
// A request is made again, on another connection, only where a kept one turned out to be closed before a single byte was written. Such a
// request has reached nobody, so that is the same attempt.
type Transport struct {
	// TLS configures connections to https. Defaults to the roots of the system.
	TLS *tls.Config

	dialer  net.Dialer
	maxIdle int // connections kept, to one address

	mu    sync.Mutex
	idle  map[address][]*connection // the one that was used last at the end
	timer *time.Timer               // sweeps idle; nil while there is nothing
}

const (
	dialTimeout = 10 * time.Second // for a connection, and again for its TLS
	keepIdle    = 30 * time.Second
	maxHeader   = 64 << 10 // bytes of a response's header, and of what may come before it
	maxInterim  = 5        // responses with a status of 1xx before the real one
)

// NewTransport returns the transport for all webhooks, the default of [Config.Transport].
func NewTransport(allowed []netip.Prefix, limits Limits) *Transport {
	limits = limits.withDefaults()
	return &Transport{
		dialer: net.Dialer{
			Timeout:   dialTimeout,
			KeepAlive: 30 * time.Second,
			ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
				target, err := netip.ParseAddrPort(address)
				if err != nil {
					return fmt.Errorf("address %q: %w", address, err)
				}
				return checkTarget(target.Addr(), allowed)
			},
		},
		maxIdle: limits.Senders + limits.SendersPerWebhook, // many webhooks may be at one address, and under load no connection is made twice
		idle:    map[address][]*connection{},
	}
}

// connection is one that carries a request at a time.
type connection struct {
	net.Conn // TLS, where the scheme is https
	wire     *wire
	reader   *bufio.Reader
	writer   *bufio.Writer
	to       address
	since    time.Time // it has been idle
}

// wire is what a connection stands on. It counts what was written, and bounds what is read.
type wire struct {
	*net.TCPConn
	written  int64
	readable int64
}

var errHeaderTooLarge = fmt.Errorf("server response headers exceeded %d bytes", maxHeader)

func (w *wire) Read(b []byte) (int, error) {
	if w.readable <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := w.TCPConn.Read(b[:min(int64(len(b)), w.readable)])
	w.readable -= int64(n)
	return n, err
}

func (w *wire) Write(b []byte) (int, error) {
	n, err := w.TCPConn.Write(b)
	w.written += int64(n)
	return n, err
}

// RoundTrip makes a request. The deadline of its context covers the response's body too, and the end of the context ends whatever is
// under way. A connection is kept where the body was read to its end.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := addressOf(r.URL)
	if err != nil {
		return nil, err
	}
	for {
		c := t.take(to)
		kept := c != nil
		if !kept {
			if c, err = t.connect(r.Context(), to); err != nil {
				return nil, cause(r.Context(), err)
			}
		}
		response, err := t.exchange(c, r)
		if err == nil {
			return response, nil
		}
		c.Close()
		if !kept || c.wire.written > 0 || r.Context().Err() != nil {
			return nil, cause(r.Context(), err)
		}
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
}

// cause is the reason why ctx ended, if it has, and else err.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// address is where a connection leads.
type address struct {
	secure     bool
	host, port string
}

func addressOf(u *url.URL) (a address, err error) {
	a = address{secure: u.Scheme == "https", host: u.Hostname(), port: u.Port()}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return a, fmt.Errorf("the scheme %q is not supported", u.Scheme)
	case a.port == "" && a.secure:
		a.port = "443"
	case a.port == "":
		a.port = "80"
	}
	for i := range len(a.host) {
		if a.host[i] >= 0x80 {
			if a.host, err = idna.Lookup.ToASCII(a.host); err != nil {
				return a, fmt.Errorf("the host's name cannot be written in ASCII: %w", err)
			}
			break
		}
	}
	return a, nil
}

func (t *Transport) connect(ctx context.Context, to address) (*connection, error) {
	plain, err := t.dialer.DialContext(ctx, "tcp", net.JoinHostPort(to.host, to.port))
	if err != nil {
		return nil, err
	}
	c := &connection{wire: &wire{TCPConn: plain.(*net.TCPConn), readable: math.MaxInt64}, to: to}
	c.Conn = c.wire
	if to.secure {
		config := t.TLS.Clone()
		if config == nil {
			config = &tls.Config{}
		}
		config.ServerName = to.host
		secure := tls.Client(c.wire, config)
		handshake, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		if err := secure.HandshakeContext(handshake); err != nil {
			plain.Close()
			return nil, err
		}
		c.Conn = secure
	}
	c.reader, c.writer = bufio.NewReader(c.Conn), bufio.NewWriter(c.Conn)
	return c, nil
}

var longAgo = time.Unix(1, 0)

// exchange writes a request and reads the response up to its body.
func (t *Transport) exchange(c *connection, r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	deadline, _ := ctx.Deadline() // the zero time is none
	c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(longAgo) })
	c.wire.written, c.wire.readable = 0, maxHeader

	writing := errors.Join(r.Write(c.writer), c.writer.Flush())
	if writing != nil && c.wire.written == 0 {
		stop()
		return nil, writing
	}
	// A receiver may answer before it has read everything, and close the connection.
	response, err := http.ReadResponse(c.reader, r)
	for interim := 0; err == nil && response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols; interim++ {
		if interim == maxInterim {
			err = errors.New("malformed HTTP response: too many interim responses")
		} else {
			response, err = http.ReadResponse(c.reader, r)
		}
	}
	if err != nil {
		stop()
		switch {
		case writing != nil:
			err = writing
		case c.wire.readable <= 0:
			err = errHeaderTooLarge // whatever the parser made of the end
		}
		return nil, err
	}
	c.wire.readable = math.MaxInt64 // the reader of the body bounds it
	reusable := writing == nil && !response.Close && response.StatusCode != http.StatusSwitchingProtocols
	response.Body = &responseBody{Reader: response.Body, transport: t, connection: c, stop: stop, reusable: reusable}
	return response, nil
}

// responseBody gives its connection back when it is closed.
type responseBody struct {
	io.Reader
	transport  *Transport
	connection *connection
	stop       func() bool
	reusable   bool
	read       bool // to its end
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read = b.read || err == io.EOF
	return n, err
}

// Close does not read on: a body may have no end.
func (b *responseBody) Close() error {
	c := b.connection
	if b.connection = nil; c == nil {
		return nil
	}
	if alive := b.stop(); !alive || !b.read || !b.reusable || c.reader.Buffered() > 0 {
		return c.Close()
	}
	c.SetDeadline(time.Time{})
	b.transport.keep(c)
	return nil
}

// keep keeps a connection for a while.
func (t *Transport) keep(c *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.to]) >= t.maxIdle {
		c.Close()
		return
	}
	c.since = time.Now()
	t.idle[c.to] = append(t.idle[c.to], c)
	if t.timer == nil {
		t.timer = time.AfterFunc(keepIdle, func() { t.sweep(keepIdle) })
	}
}

// take returns the connection that was used last and is still open, or nil.
func (t *Transport) take(to address) *connection {
	for {
		t.mu.Lock()
		kept := t.idle[to]
		if len(kept) == 0 {
			t.mu.Unlock()
			return nil
		}
		c := kept[len(kept)-1]
		kept[len(kept)-1] = nil
		t.idle[to] = kept[:len(kept)-1]
		t.mu.Unlock()
		if c.open() {
			return c
		}
		c.Close()
	}
}

// open says whether the other side has neither closed the connection nor said anything on it, which would be out of turn.
func (c *connection) open() bool {
	raw, err := c.wire.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}

// sweep closes what has been idle for so long, and comes again if something is left.
func (t *Transport) sweep(age time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for to, kept := range t.idle {
		n := 0
		for n < len(kept) && time.Since(kept[n].since) >= age {
			kept[n].Close()
			n++
		}
		if kept = append(kept[:0:0], kept[n:]...); len(kept) == 0 {
			delete(t.idle, to)
		} else {
			t.idle[to] = kept
		}
	}
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if len(t.idle) > 0 {
		t.timer = time.AfterFunc(age, func() { t.sweep(keepIdle) })
	}
}

// CloseIdleConnections closes the connections that carry no request.
func (t *Transport) CloseIdleConnections() { t.sweep(0) }
