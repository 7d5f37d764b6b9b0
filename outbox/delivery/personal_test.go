package delivery

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
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

	fold := func(page ...*item) { // as a page is read
		t.Helper()
		check(t, s.open(t.Context(), page))
		check(t, s.fold(t.Context(), page))
	}
	page := items(1, 2)
	fold(page...)
	for _, it := range page {
		check(t, s.ready(t.Context(), it))
		if text := shown(it); !strings.Contains(text, "a@example.com") || strings.Contains(text, "$personal") {
			t.Errorf("version %d shows %s", it.occurrence.Version, text)
		}
		const echo = `you said {"email":"a@example.com","name":"Ada \u003c1\u003e"}, thanks Ada <1>, not aa@example.com`
		if got := s.conceal(echo, it); got != `you said {"email":"[erased]","name":"[erased]"}, thanks [erased], not aa@example.com` {
			t.Errorf("kept of the answer is %s", got)
		}
	}
	lane := items(1, 2)
	check(t, s.open(t.Context(), lane))
	check(t, s.fold(t.Context(), lane[:1]))
	lane[1].follow(lane[0]) // and its turn comes later
	if text, err := json.Marshal(lane[1].before.state); !strings.Contains(string(text), "a@example.com") {
		t.Errorf("passed on is %s, %v", text, err)
	}

	personal.destroyed = []uuid.UUID{key}
	reads = 0
	later := items(3)
	fold(later...) // builds upon version 2, which is in memory
	for _, it := range append(later, page...) {
		check(t, s.ready(t.Context(), it))
		if text := shown(it); strings.Contains(text, "a@example.com") || !strings.Contains(text, domain.Erased) || strings.Contains(text, "$personal") {
			t.Errorf("version %d shows %s", it.occurrence.Version, text)
		}
	}

	if reads != 1 { // for version 3, which builds upon what is erased; the first event needs nothing before it
		t.Errorf("%d reads", reads)
	}
	check(t, s.ready(t.Context(), lane[1]))
	if text := shown(lane[1]); strings.Contains(text, "a@example.com") || !strings.Contains(text, domain.Erased) {
		t.Errorf("what was passed on before the erasure shows %s", text)
	}
	reads = 0
	again := append(items(1, 2, 3), page...)
	fold(again[:3]...)
	for _, it := range again {
		check(t, s.ready(t.Context(), it))
	}
	if reads != 0 {
		t.Errorf("%d reads of what is erased already", reads)
	}

	// Without keys at all everything is erased.
	s.personal = erased{}
	s.cache.Purge()
	page = items(1)
	fold(page...)
	if text := shown(page[0]); strings.Contains(text, "a@example.com") || strings.Contains(text, "$personal") {
		t.Errorf("without keys it shows %s", text)
	}
	broken := log[0]
	broken.Data = []byte(`{"$personal":["x"],"orderId":"ord_1"}`)
	page = []*item{{occurrence: profile.Occurrence{Recorded: broken}}}
	fold(page...)
	if page[0].fault == nil {
		t.Error("a damaged event was opened")
	}
}

// What several webhooks are told is folded and rendered once, unless something was erased in between.
func TestMessagesAreShared(t *testing.T) {
	t.Parallel()
	secret := uuid.New()
	aggregates := map[string]*domain.Aggregate{order.Name: order.Aggregate()}
	personal := &unencrypted{}
	sealer, err := webhook.NewSealer(make([]byte, 32))
	check(t, err)
	d, err := New(Config{DB: new(sql.DB), Aggregates: aggregates, Personal: personal, Sealer: sealer, Profiles: profile.NewSet(profile.Native(aggregates)),
		History: func(context.Context, []domain.StreamAt) ([][]domain.Recorded, error) {
			return nil, errors.New("not needed")
		}})
	check(t, err)
	d.owned.Store(2)
	webhooks := []*target{{profile: d.config.Profiles["native"]}, {profile: d.config.Profiles["native"]}}
	tell := func(w *target, position int64, e domain.Event) (it *item, body string) {
		t.Helper()
		data, version, err := order.Aggregate().Codec.Encode(e)
		check(t, err)
		if fields := order.Aggregate().Codec.Personal(e.EventType(), data); len(fields) > 0 {
			masked, patches := domain.Mask(data, fields, make([]int, len(fields)))
			data = domain.Sealed{Masked: masked, Parts: []domain.SealedPart{{Key: secret, Ciphertext: patches[0]}}}.Encode()
		}
		it = &item{key: key{transactionID: 1, position: position}}
		it.occurrence.Recorded = domain.Recorded{Workspace: "default", Stream: domain.StreamID{Aggregate: order.Name, ID: "ord_1"},
			Version: 1, Type: e.EventType(), SchemaVersion: version, Data: data}
		check(t, d.states.open(t.Context(), []*item{it}))
		m, err := d.render(t.Context(), w, it)
		check(t, err)
		return it, string(m.Body)
	}
	plain := order.Created{OrderID: "ord_1", Currency: "USD"}
	_, first := tell(webhooks[0], 1, plain)
	it, again := tell(webhooks[1], 1, plain)
	if again != first || it.occurrence.Event != nil {
		t.Errorf("the second webhook is told %s, folded anew to %+v; the first was told %s", again, it.occurrence.After, first)
	}
	sealed := order.Created{OrderID: "ord_1", Currency: "USD", Email: "a@example.com"}
	if _, body := tell(webhooks[0], 2, sealed); !strings.Contains(body, "a@example.com") {
		t.Errorf("the first webhook is told %s", body)
	}
	if it, body := tell(webhooks[1], 2, sealed); !strings.Contains(body, "a@example.com") || len(it.keys) != 1 {
		t.Errorf("the second webhook is told %s, with %d keys", body, len(it.keys))
	}
	personal.destroyed = []uuid.UUID{secret}
	if _, body := tell(webhooks[1], 2, sealed); strings.Contains(body, "a@example.com") || !strings.Contains(body, domain.Erased) {
		t.Errorf("after erasure a webhook is told %s", body)
	}
}
