package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/waybill-dev/waybill/outbox/profile"
)

const (
	maxResponse = 64 << 10 // bytes of a response that are read; a longer one costs its receiver the connection
	maxExcerpt  = 1 << 10  // bytes of it that are kept
	maxHeaders  = 2 << 10  // bytes of its headers that are kept
	maxValue    = 256      // and of the value of one
	userAgent   = "Waybill/1 (+https://github.com/waybill-dev/waybill)"
)

// sender makes single attempts.
type sender struct {
	transport http.RoundTripper
	clock     func() time.Time
}

// answer is what came of one attempt.
type answer struct {
	answered   bool // there is a status
	status     int
	headers    string // a JSON object; empty where there are none worth keeping
	excerpt    string
	problem    string        // why there is no status, in words for people
	retryAfter time.Duration // what the receiver asked for; 0 where it asked for nothing
	duration   time.Duration
}

var buffers = sync.Pool{New: func() any { return new([maxExcerpt]byte) }}

// attempt sends a message once. The status decides, as soon as it is there; what is wrong with the rest of a response cannot undo it.
// The deadline covers all of it.
func (s *sender) attempt(ctx context.Context, t *target, m profile.Message) (a answer) {
	began := time.Now()
	defer func() { a.duration = time.Since(began) }()
	ctx, cancel := context.WithTimeout(ctx, t.profile.Timeout)
	defer cancel()

	request := newRequest(ctx, t.url, m.Body)
	t.signAt(request.Header, m, s.clock())
	// Not an http.Client, which would follow redirects.
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		a.problem = explain(err, t.url.Hostname(), t.profile.Timeout)
		return a
	}
	defer response.Body.Close()
	a.answered, a.status = true, response.StatusCode
	a.headers = keptHeaders(response.Header)
	a.retryAfter = retryAfter(response.Header.Get("Retry-After"), s.clock())

	buffer := buffers.Get().(*[maxExcerpt]byte)
	defer buffers.Put(buffer)
	n, err := io.ReadFull(response.Body, buffer[:])
	a.excerpt = clean(buffer[:n])
	if err == nil {
		io.CopyN(io.Discard, response.Body, maxResponse-maxExcerpt) // a connection can be used again only once it is read empty
	}
	return a
}

// unkept are headers that nearly every answer has, and the one that may hold secrets.
var unkept = map[string]bool{"Connection": true, "Content-Length": true, "Date": true, "Keep-Alive": true, "Set-Cookie": true}

// keptHeaders makes a JSON object of an answer's headers, in the order of their names.
func keptHeaders(header http.Header) string {
	var names []string
	for name := range header {
		if !unkept[name] {
			names = append(names, name)
		}
	}
	if names == nil {
		return ""
	}
	slices.Sort(names)
	object := []byte{'{'}
	for _, name := range names {
		value := strings.Join(header[name], ", ")
		member := quote(nil, name)
		member = quote(append(member, ':'), value[:min(len(value), maxValue)])
		if len(object)+len(member)+2 > maxHeaders {
			break
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(object, member...)
	}
	return string(append(object, '}'))
}

func quote(b []byte, text string) []byte {
	quoted, _ := json.Marshal(clean([]byte(text))) // a string can always be marshalled
	return append(b, quoted...)
}

// newRequest is http.NewRequest without parsing the URL each time.
func newRequest(ctx context.Context, address *url.URL, body []byte) *http.Request {
	getBody := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	reader, _ := getBody()
	request := &http.Request{
		Method: http.MethodPost, URL: address, Host: address.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent}},
		Body:          reader,
		GetBody:       getBody,
		ContentLength: int64(len(body)),
	}
	return request.WithContext(ctx)
}

// retryAfter reads a Retry-After header: seconds, or a date (RFC 9110, 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// clean makes something of bytes that PostgreSQL stores and a terminal shows, and that is no longer than an excerpt.
func clean(b []byte) string {
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if len(s) > maxExcerpt {
		s = strings.ToValidUTF8(s[:maxExcerpt], "") // without half a letter at the end
	}
	return s
}

// ErrorClasses are what can be wrong with an attempt, in one word each: the receiver's answer was none that counts as success (status); none
// came in time (timeout), or before the connection was closed (reset); its address may not be reached (blocked); it has no address (dns),
// accepts no connection (refused), cannot be reached (unreachable) or cannot be trusted (tls); what it answers is not HTTP (protocol); the
// body could not be rendered (render); the webhook was switched off, or the relay stopped, meanwhile (stopped); anything else (network).
var ErrorClasses = []string{"status", "timeout", "reset", "blocked", "dns", "refused", "unreachable", "tls", "protocol", "render", "stopped", "network"}

// classOf is the word that a problem begins with.
func classOf(problem string) string {
	class, _, _ := strings.Cut(problem, ": ")
	return class
}

// explain says in plain words, behind one of [ErrorClasses], why a request got no answer. The words contain nothing of the URL but a host's name: neither a path nor
// a query, which may hold secrets. And they do not say to which address a name leads in here: who may make webhooks need not know our networks.
func explain(err error, host string, timeout time.Duration) string {
	var (
		blocked   *BlockedTargetError
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		expired   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		netErr    net.Error
		urlErr    *url.Error
	)
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	switch {
	case errors.As(err, &blocked):
		if _, err := netip.ParseAddr(host); err != nil {
			return "blocked: the name " + strconv.Quote(host) + " leads to an address that is not public, and not among the targets that are allowed"
		}
		return "blocked: " + blocked.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("timeout: no complete answer within %s", timeout)
	case errors.Is(err, context.Canceled):
		return "stopped: the attempt was ended before the receiver answered"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "dns: there is no host " + strconv.Quote(dns.Name)
	case errors.As(err, &dns):
		return "dns: the name " + strconv.Quote(dns.Name) + " could not be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused: nothing accepts connections there"
	case errors.As(err, &authority):
		return "tls: the certificate is signed by an unknown authority"
	case errors.As(err, &hostname):
		return "tls: the certificate is for another host"
	case errors.As(err, &expired):
		return "tls: the certificate is not valid (" + expired.Error() + ")"
	case errors.As(err, &record):
		return "tls: the receiver does not speak TLS there"
	case errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return "tls: the handshake failed"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable: there is no route to the receiver"
	case errors.As(err, &netErr) && netErr.Timeout():
		return "timeout: the receiver did not respond to the connection attempt"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "server closed idle connection"):
		return "reset: the receiver closed the connection without an answer"
	case strings.Contains(err.Error(), "malformed "), strings.Contains(err.Error(), "server response headers exceeded"):
		return "protocol: the answer is not HTTP that can be read"
	}
	return "network: the request failed"
}
