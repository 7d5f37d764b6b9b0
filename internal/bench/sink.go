package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What the sink does with a request depends on the beginning of its path; the rest is the receiver's name.
const (
	takes = "/takes/" // answers at once
	slows = "/slows/" // takes 10 ms
	hangs = "/hangs/" // does not answer until it is told to, or the sender gives up
)

const slowness = 10 * time.Millisecond

// Sink is the receiver of everything, in a process of its own: it prints its address, and serves until its input ends. It verifies
// nothing, because what is measured is the sender.
func Sink(stdin io.Reader, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the sink: %w", err)
	}
	s := &sinkServer{released: make(chan struct{})}
	server := &http.Server{Handler: s}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // ends with who started this, in whatever way
		close(ended)
	}()
	if _, err := fmt.Fprintln(stdout, "http://"+listener.Addr().String()); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ended:
		return server.Close()
	}
}

type sinkServer struct {
	answered  atomic.Int64
	recording atomic.Bool
	patient   atomic.Bool // nobody hangs any more

	mu       sync.Mutex
	receipts map[receipt]time.Time // of first attempts
	released chan struct{}         // closed when those who hang now are to be answered
}

// receipt is what came to a receiver.
type receipt struct{ receiver, id string }

var answer = []byte(`{"received":true}`)

func (s *sinkServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	path := r.URL.Path
	_, _ = io.Copy(io.Discard, r.Body) // a body that breaks off belongs to an attempt that has failed over there
	switch {
	case strings.HasPrefix(path, takes):
	case strings.HasPrefix(path, slows):
		time.Sleep(slowness)
	case strings.HasPrefix(path, hangs):
		if !s.hang(r.Context()) {
			return
		}
	default:
		s.control(w, r)
		return
	}
	if s.recording.Load() {
		s.mu.Lock()
		if key := (receipt{path, r.Header.Get("Webhook-Id")}); s.receipts[key].IsZero() {
			s.receipts[key] = at
		}
		s.mu.Unlock()
	}
	s.answered.Add(1)
	_, _ = w.Write(answer) // fails only where the relay has gone
}

// hang waits, and says whether there is somebody left to answer.
func (s *sinkServer) hang(ctx context.Context) bool {
	if s.patient.Load() {
		return true
	}
	s.mu.Lock()
	released := s.released
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-released:
		return true
	}
}

func (s *sinkServer) control(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.URL.Path {
	case "/count":
		fmt.Fprint(w, s.answered.Load())
	case "/record": // from now on
		s.receipts = map[receipt]time.Time{}
		s.recording.Store(true)
	case "/receipts":
		for key, at := range s.receipts {
			fmt.Fprintf(w, "%s %s %d\n", key.receiver, key.id, at.UnixNano())
		}
	case "/answer-all": // those who hang now, and who would hang later
		s.patient.Store(true)
		fallthrough
	case "/answer": // those who hang now
		close(s.released)
		s.released = make(chan struct{})
	default:
		http.NotFound(w, r)
	}
}

// sink is the bench's end of it.
type sink struct {
	url    string
	client *http.Client
}

// sink starts one for the length of the scenario.
func (r *run) sink(ctx context.Context) (*sink, error) {
	p, err := r.start(ctx, nil, SinkCommand)
	if err != nil {
		return nil, fmt.Errorf("start the sink: %w", err)
	}
	r.atEnd(p.stop)
	return &sink{url: p.said, client: &http.Client{Transport: &http.Transport{}}}, nil
}

func (s *sink) ask(ctx context.Context, what string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+what, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the sink: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("ask the sink: %s", response.Status)
	}
	return response.Body, nil
}

// tell asks for something to which there is no answer.
func (s *sink) tell(ctx context.Context, what string) error {
	body, err := s.ask(ctx, what)
	if err != nil {
		return err
	}
	return body.Close()
}

// count is how many requests it has answered since it started, besides these.
func (s *sink) count(ctx context.Context) (int, error) {
	body, err := s.ask(ctx, "/count")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// patience is how long nothing may happen before something must be wrong.
const patience = time.Minute

// until waits until n requests were answered since there were base of them.
func (s *sink) until(ctx context.Context, base, n int, progress func(done int)) error {
	last, since := -1, time.Now()
	for {
		now, err := s.count(ctx)
		if err != nil {
			return err
		}
		if now-base >= n {
			return nil
		}
		if now != last {
			last, since = now, time.Now()
			progress(now - base)
		} else if time.Since(since) > patience {
			return fmt.Errorf("%d of %d requests came, and none for %s", now-base, n, patience)
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// receipts returns what came since the recording began, and when.
func (s *sink) receipts(ctx context.Context) (map[receipt]time.Time, error) {
	body, err := s.ask(ctx, "/receipts")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	receipts := map[receipt]time.Time{}
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		var key receipt
		var at int64
		if _, err := fmt.Sscan(lines.Text(), &key.receiver, &key.id, &at); err != nil {
			return nil, fmt.Errorf("the sink said %q: %w", lines.Text(), err)
		}
		receipts[key] = time.Unix(0, at)
	}
	return receipts, lines.Err()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
