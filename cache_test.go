package waybill

import (
	"context"
	"errors"
	"testing"
)

// Commands on one aggregate go in the order in which they came; who gives up is passed over, also where the turn had just come to it.
func TestTurns(t *testing.T) {
	t.Parallel()
	var ts turns
	key := cacheKey{workspace: "default"}
	line := func() []chan struct{} { ts.mu.Lock(); defer ts.mu.Unlock(); return ts.busy[key] }
	done, err := ts.take(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}

	ctx, giveUp := context.WithCancel(t.Context())
	results := make(chan error)
	come := func(ctx context.Context, then func()) {
		before := len(line())
		go func() {
			done, err := ts.take(ctx, key)
			if err == nil {
				then()
				done()
			}
			results <- err
		}()
		for len(line()) == before {
			if t.Context().Err() != nil {
				t.Fatal("nobody came")
			}
		}
	}
	var order []string // written by who has the turn
	come(t.Context(), func() { order = append(order, "first") })
	come(ctx, func() { order = append(order, "gone") })
	come(t.Context(), func() { order = append(order, "last") })
	giveUp()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	done()
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if len(order) != 2 || order[0] != "first" || order[1] != "last" {
		t.Errorf("the turns were of %v, want first and last", order)
	}

	gone, next := make(chan struct{}, 1), make(chan struct{}, 1)
	ts.busy[key] = []chan struct{}{gone, next}
	ts.pass(key)
	ts.leave(key, gone)
	select {
	case <-next:
	default:
		t.Error("the turn of one who was gone was lost")
	}
	ts.pass(key)
	if len(ts.busy) != 0 {
		t.Errorf("%d aggregates are busy after everybody is done", len(ts.busy))
	}
}
