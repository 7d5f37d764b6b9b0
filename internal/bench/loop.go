package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// connections is how many the bare loop has: as many as the relay's senders for one webhook.
const connections = 64

// bareLoop signs and posts messages over 64 connections, n of them, and returns how many a second: what a sender could do that need not
// know what it sent.
func bareLoop(ctx context.Context, url string, messages []profile.Message, n int) (float64, error) {
	sign, err := profile.StandardSigner([]string{webhook.NewSecret().Reveal()})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	post := func(i int) error {
		m := messages[i%len(messages)]
		m.ID = uuid.NewString()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(m.Body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		sign(request.Header, m, time.Now())
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the sink answered %s", response.Status)
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	var next atomic.Int64
	var senders sync.WaitGroup
	began := time.Now()
	for range connections {
		senders.Go(func() {
			for i := next.Add(1); i <= int64(n) && ctx.Err() == nil; i = next.Add(1) {
				if err := post(int(i)); err != nil {
					cancel(fmt.Errorf("the bare loop: %w", err))
				}
			}
		})
	}
	senders.Wait()
	return float64(n) / time.Since(began).Seconds(), context.Cause(ctx)
}

// loop is the bare loop to one kind of receiver, announced.
func (r *run) loop(ctx context.Context, to *sink, kind string, messages []profile.Message, n int) (float64, error) {
	r.Progress("the bare loop", 0, 0)
	return bareLoop(ctx, to.url+kind+"loop", messages, n)
}
