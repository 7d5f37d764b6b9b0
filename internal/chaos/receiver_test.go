package chaos

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/inbox"
)

// receiver is a subscriber with moods. It notes every request that it got whole, and what it answered.
type receiver struct {
	name   string
	t      testing.TB
	server *http.Server
	listen net.Listener
	box    *inbox.Box // verifies, and processes where work is set; set once the secret is known
	work   func(context.Context, *sql.Tx, inbox.Message) error

	accepted *atomic.Int64 // by all receivers of the run
	strays   atomic.Int64  // requests where none should come: a redirect was followed

	mu       sync.Mutex
	requests []Request
	random   *rand.Rand
	moods    []mood // none: accept everything
	mood     string
	left     int // requests for which the mood lasts
}

// mood is what a receiver may do with a request, and for how many in a row it does so at most.
type mood struct {
	name   string
	atMost int
}

var moods = []mood{
	{"accept", 150}, {"accept", 150}, {"accept", 150}, {"slow", 40}, {"fail", 15}, {"too many", 3}, {"later", 2}, {"redirect", 5}, {"hang", 3},
	{"reset", 8}, {"swallow", 8}, {"garbage", 5}, {"endless", 3}, {"endless failure", 3}, {"too slow", 2}, {"odd success", 10},
}

func newReceiver(t testing.TB, name string, seed uint64, moods []mood, accepted *atomic.Int64) *receiver {
	t.Helper()
	r := &receiver{name: name, t: t, accepted: accepted, moods: moods, random: rand.New(rand.NewPCG(seed, 1))}
	var err error
	if r.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.server = &http.Server{Handler: r}
	go r.server.Serve(r.listen)
	t.Cleanup(func() { r.server.Close() })
	return r
}

// calmDown makes the receiver accept everything from now on.
func (r *receiver) calmDown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moods = nil
}

func (r *receiver) nextMood() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.moods) == 0 {
		return "accept"
	}
	if r.left--; r.left < 0 {
		next := r.moods[r.random.IntN(len(r.moods))]
		r.mood, r.left = next.name, r.random.IntN(next.atMost)
	}
	return r.mood
}

// got notes a request. Its answer is noted later, by the place that this returns.
func (r *receiver) got(q *http.Request, body []byte) int {
	sum := sha256.Sum256(body)
	_, err := r.box.Verify(q.Header, body)
	var told struct {
		Data struct{ OrderID string }
	}
	_ = json.Unmarshal(body, &told) // what is no JSON was not signed by us, or has other bytes
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, Request{
		Delivery: Delivery{Webhook: r.name, Event: q.Header.Get("webhook-id")}, Send: q.Header.Get(sendHeader),
		Stream: "order/" + told.Data.OrderID, Body: hex.EncodeToString(sum[:8]), Signed: err == nil, At: now(),
	})
	return len(r.requests) - 1
}

func (r *receiver) answered(place, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests[place].Status = status
	if status >= 200 && status <= 299 {
		r.accepted.Add(1)
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/"+r.name {
		r.strays.Add(1)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // it never arrived
	}
	place := r.got(q, body)
	switch r.nextMood() {
	case "accept":
		r.accept(w, q, body, place, http.StatusOK)
	case "odd success":
		r.accept(w, q, body, place, http.StatusAccepted)
	case "slow":
		wait(q.Context(), r.draw(150*time.Millisecond))
		r.accept(w, q, body, place, http.StatusNoContent)
	case "too slow": // it does its work, and answers when nobody listens any more
		wait(context.Background(), attemptTimeout+r.draw(300*time.Millisecond))
		r.accept(w, q, body, place, http.StatusOK)
	case "fail":
		r.refuse(w, place, http.StatusInternalServerError)
	case "too many":
		w.Header().Set("Retry-After", "1")
		r.refuse(w, place, http.StatusTooManyRequests)
	case "later":
		w.Header().Set("Retry-After", time.Now().Add(time.Second).UTC().Format(http.TimeFormat))
		r.refuse(w, place, http.StatusServiceUnavailable)
	case "redirect":
		w.Header().Set("Location", "/elsewhere")
		r.refuse(w, place, []int{301, 302, 303, 307, 308}[r.draw(5)])
	case "hang":
		<-q.Context().Done()
	case "reset":
		r.drop(w, "")
	case "swallow": // it does its work, and is gone
		if r.work != nil {
			_, _ = r.process(q, body)
		}
		r.drop(w, "")
	case "garbage":
		r.drop(w, "220 \x00\xff mail.example.com ESMTP\r\n\r\n")
	case "endless":
		r.accept(w, q, body, place, http.StatusOK)
		r.babble(w)
	case "endless failure":
		r.refuse(w, place, http.StatusBadGateway)
		r.babble(w)
	}
}

func (r *receiver) draw(n time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.random.Int64N(int64(n)))
}

// accept does the work, and says so. The note stands before the answer: a sender must not be ahead of it.
func (r *receiver) accept(w http.ResponseWriter, q *http.Request, body []byte, place, status int) {
	if r.work != nil {
		if _, err := r.process(q, body); err != nil {
			r.refuse(w, place, http.StatusInternalServerError)
			return
		}
	}
	r.answered(place, status)
	w.WriteHeader(status)
}

func (r *receiver) process(q *http.Request, body []byte) (first bool, err error) {
	m, err := r.box.Verify(q.Header, body)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(q.Context(), 5*time.Second)
	defer cancel()
	return r.box.Process(ctx, m, r.work)
}

func (r *receiver) refuse(w http.ResponseWriter, place, status int) {
	r.answered(place, status)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "not now: "+strconv.Itoa(status))
}

// drop ends the connection at once, after a few last words.
func (r *receiver) drop(w http.ResponseWriter, words string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if words != "" {
		_, _ = io.WriteString(conn, words)
	} else if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an end
	}
}

// babble goes on for as long as anybody listens, at a pace at which what a proxy holds back does not fill the memory.
func (r *receiver) babble(w http.ResponseWriter) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := w.Write(make([]byte, 8<<10)); err != nil {
			return
		}
	}
}
