package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is what a subscriber would write: an HTTP endpoint that believes only what is signed, as the Standard Webhooks
// specification says, and remembers which events it was told of.
type receiver struct {
	server *http.Server
	path   string // of this receiver alone: what is sent elsewhere is not for it
	url    string

	mu      sync.Mutex
	key     []byte
	told    map[string][]notice // by event id; more than one is a repetition
	doubts  []error             // requests that could not be verified
	arrived chan struct{}       // holds one element while something came that was not looked at yet
}

// notice is one verified request.
type notice struct {
	id   string
	kind string
	at   time.Time
}

// listen opens a receiver on a free port of the loopback interface.
func listen(ctx context.Context, name string) (*receiver, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{path: "/" + name, told: map[string][]notice{}, arrived: make(chan struct{}, 1)}
	r.url = "http://" + listener.Addr().String() + r.path
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return r, nil
}

// close waits for requests under way; after it nothing arrives any more.
func (r *receiver) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return r.server.Shutdown(ctx)
}

// trust sets the secret that requests are signed with.
func (r *receiver) trust(secret string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return fmt.Errorf("read the webhook's secret: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
	return nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	at := time.Now()
	if request.URL.Path != r.path {
		// Most likely an earlier run that was killed had this port, and its webhook is still there.
		w.WriteHeader(http.StatusGone)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, 4<<20))
	r.mu.Lock()
	defer r.mu.Unlock()
	var n notice
	if err == nil {
		n, err = verify(r.key, request.Header, body, at)
	}
	if err != nil {
		r.doubts = append(r.doubts, err)
		w.WriteHeader(http.StatusUnauthorized)
	} else {
		r.told[n.id] = append(r.told[n.id], n)
		w.WriteHeader(http.StatusNoContent)
	}
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// wait returns the first notice of an event, once it is there, or false when ctx ends first.
func (r *receiver) wait(ctx context.Context, id string) (notice, bool) {
	for {
		r.mu.Lock()
		notices := r.told[id]
		r.mu.Unlock()
		if len(notices) > 0 {
			return notices[0], true
		}
		select {
		case <-r.arrived:
		case <-ctx.Done():
			return notice{}, false
		}
	}
}

// tolerance is how far a request's timestamp may be from the receiver's clock, as the specification recommends.
const tolerance = 5 * time.Minute

// verify reads a request that is genuine, and recent.
func verify(key []byte, header http.Header, body []byte, now time.Time) (notice, error) {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return notice{}, errors.New("a request came without webhook-id or webhook-timestamp")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return notice{}, fmt.Errorf("request %s is %s old", id, age)
	}
	if !genuine(key, id, timestamp, body, header.Get("webhook-signature")) {
		return notice{}, fmt.Errorf("request %s is not signed with the webhook's secret", id)
	}
	var event struct {
		Type string `json:"type"`
		Data struct {
			EventID string `json:"eventId"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return notice{}, fmt.Errorf("request %s: %w", id, err)
	}
	if event.Data.EventID != id {
		return notice{}, fmt.Errorf("request %s tells of event %q", id, event.Data.EventID)
	}
	return notice{id: id, kind: event.Type, at: now}, nil
}

// genuine checks a signature as https://www.standardwebhooks.com says: one of those in the header is "v1," and the base64 of the
// HMAC-SHA256 of "id.timestamp.body".
func genuine(key []byte, id, timestamp string, body []byte, signatures string) bool {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, signature := range strings.Fields(signatures) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}
