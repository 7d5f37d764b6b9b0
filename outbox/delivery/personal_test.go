package delivery

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/outbox/profile"
)

// unencrypted is a [Personal] whose ciphertexts are none.
type unencrypted struct{ destroyed []uuid.UUID }

func (u *unencrypted) Open(_ context.Context, _ *sql.Tx, events []*domain.Recorded) error {
	for _, r := range events {
		s, _, err := domain.ParseSealed(r.Stored())
		if err != nil {
			return err
		}
		var patches []domain.Patch
		var used []uuid.UUID
		for _, p := range s.Parts {
			if !slices.Contains(u.destroyed, p.Key) {
				patches, used = append(patches, p.Ciphertext), append(used, p.Key)
			}
		}
		data, err := domain.Unmask(s.Masked, patches)
		if err != nil {
			return err
		}
		r.Data, r.Sealed, r.Opened = data, r.Stored(), used
	}
	return nil
}

func (u *unencrypted) Destroyed(_ context.Context, _ *sql.Tx, keys []uuid.UUID) ([]uuid.UUID, error) {
	return slices.DeleteFunc(slices.Clone(keys), func(k uuid.UUID) bool { return !slices.Contains(u.destroyed, k) }), nil
}

// What was opened before a key was destroyed is shown no more: not what is in memory to be sent, and not what later events build upon.
func TestForgottenInMemory(t *testing.T) {
	t.Parallel()
	key := uuid.New()
	stream := domain.StreamID{Aggregate: order.Name, ID: "ord_1"}
	var log []domain.Recorded
	for i, e := range []domain.Event{
		order.Created{OrderID: "ord_1", Currency: "USD", Email: "a@example.com", Customer: &order.Customer{ID: "cus_1", Name: "Ada <1>"}},
		order.Submitted{}, order.RevertedToDraft{},
	} {
		data, version, err := order.Aggregate().Codec.Encode(e)
		check(t, err)
		if fields := order.Aggregate().Codec.Personal(e.EventType(), data); len(fields) > 0 {
			masked, patches := domain.Mask(data, fields, make([]int, len(fields)))
			data = domain.Sealed{Masked: masked, Parts: []domain.SealedPart{{Key: key, Ciphertext: patches[0]}}}.Encode()
		}
		log = append(log, domain.Recorded{Workspace: "default", Stream: stream, Version: i + 1, Type: e.EventType(), SchemaVersion: version, Data: data, RecordedAt: time.Unix(0, 0)})
	}
	personal := &unencrypted{}
	reads := 0
	s, err := newStates(map[string]*domain.Aggregate{order.Name: order.Aggregate()}, func(ctx context.Context, at []domain.StreamAt) ([][]domain.Recorded, error) {
		reads++
		history := slices.Clone(log[:at[0].Version])
		for i := range history {
			if domain.IsSealed(history[i].Data) {
				check(t, personal.Open(ctx, nil, []*domain.Recorded{&history[i]}))
			}
		}
		return [][]domain.Recorded{history}, nil
	}, personal, 10)
	check(t, err)
	items := func(versions ...int) (list []*item) {
		for _, v := range versions {
			list = append(list, &item{occurrence: profile.Occurrence{Recorded: log[v-1]}})
		}
		return list
	}
	shown := func(it *item) string {
		t.Helper()
		if it.fault != nil {
			t.Fatal(it.fault)
		}
		text, err := json.Marshal([]any{it.occurrence.Event, it.occurrence.Before, it.occurrence.After, it.occurrence.Data})
		check(t, err)
		return string(text)
	}

	page := items(1, 2)
	check(t, s.fold(t.Context(), page))
	for _, it := range page {
		check(t, s.renew(t.Context(), it))
		if text := shown(it); !strings.Contains(text, "a@example.com") || strings.Contains(text, "$personal") {
			t.Errorf("version %d shows %s", it.occurrence.Version, text)
		}
		const echo = `you said {"email":"a@example.com","name":"Ada \u003c1\u003e"}, thanks Ada <1>, not aa@example.com`
		if got := s.conceal(echo, it); got != `you said {"email":"[erased]","name":"[erased]"}, thanks [erased], not aa@example.com` {
			t.Errorf("kept of the answer is %s", got)
		}
	}
	personal.destroyed = []uuid.UUID{key}
	reads = 0
	later := items(3)
	check(t, s.fold(t.Context(), later)) // builds upon version 2, which is in memory
	for _, it := range append(later, page...) {
		check(t, s.renew(t.Context(), it))
		if text := shown(it); strings.Contains(text, "a@example.com") || !strings.Contains(text, domain.Erased) || strings.Contains(text, "$personal") {
			t.Errorf("version %d shows %s", it.occurrence.Version, text)
		}
	}

	if reads != 1 { // for version 3, which builds upon what is erased; the first event needs nothing before it
		t.Errorf("%d reads", reads)
	}
	again := append(items(1, 2, 3), page...)
	check(t, s.fold(t.Context(), again[:3]))
	for _, it := range again {
		check(t, s.renew(t.Context(), it))
	}
	if reads != 1 {
		t.Errorf("%d reads of what is erased already", reads)
	}

	// Without keys at all everything is erased.
	s.personal = erased{}
	s.cache.Purge()
	page = items(1)
	check(t, s.fold(t.Context(), page))
	if text := shown(page[0]); strings.Contains(text, "a@example.com") || strings.Contains(text, "$personal") {
		t.Errorf("without keys it shows %s", text)
	}
	broken := log[0]
	broken.Data = []byte(`{"$personal":["x"],"orderId":"ord_1"}`)
	page = []*item{{occurrence: profile.Occurrence{Recorded: broken}}}
	check(t, s.fold(t.Context(), page))
	if page[0].fault == nil {
		t.Error("a damaged event was opened")
	}
}
