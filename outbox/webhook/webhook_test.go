package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/outbox/profile"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type placed struct{}

func (placed) EventType() string { return "order.placed" }

var profiles = profile.NewSet(profile.Native(map[string]*domain.Aggregate{"order": {
	Name: "order", Codec: domain.NewCodec(domain.EventOf[placed]("It was placed."))}}))

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
}

func newStore(t *testing.T) (*Store, *pgtest.Database) {
	t.Helper()
	db := pgtest.New(t)
	sealer, err := NewSealer(make([]byte, 32))
	check(t, err)
	s, err := NewStore(Config{DB: db.DB, Sealer: sealer, Profiles: profiles})
	check(t, err)
	return s, db
}

func TestStore(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, secret, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com/hook", Events: []string{"order.placed"}})
	check(t, err)
	if !regexp.MustCompile(`^wh_[0-9a-hjkmnp-tv-z]{26}$`).MatchString(w.ID) || !w.Active || !w.Ordered || w.Profile != "native" {
		t.Errorf("created %+v", w)
	}
	if key, err := profile.DecodeStandardSecret(secret.Reveal()); err != nil || len(key) != 32 {
		t.Errorf("secret of %d bytes, %v", len(key), err)
	}
	got, err := s.Get(ctx, "acme", w.ID)
	check(t, err)
	if fmt.Sprint(got) != fmt.Sprint(w) {
		t.Errorf("got %+v, want %+v", got, w)
	}
	missing := new(domain.NotFoundError)
	if _, err := s.Get(ctx, "other", w.ID); !errors.As(err, &missing) || missing.Kind != "webhook" {
		t.Errorf("another workspace gets %v", err)
	}
	if err := s.Delete(ctx, "other", w.ID); !errors.As(err, &missing) {
		t.Errorf("another workspace deletes: %v", err)
	}
	taken := new(NameTakenError)
	if _, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"}); !errors.As(err, &taken) || taken.Name != "one" {
		t.Errorf("the same name again: %v", err)
	}
	if _, _, err := s.Create(ctx, "other", New{Name: "one", URL: "https://example.com"}); err != nil {
		t.Errorf("the same name in another workspace: %v", err)
	}

	var sealed []byte
	check(t, db.QueryRow(`SELECT secret FROM webhooks WHERE id = $1`, w.ID).Scan(&sealed))
	if bytes.Contains(sealed, []byte(secret.Reveal()[6:])) {
		t.Error("the secret is stored in the clear")
	}
	if opened, err := s.config.Sealer.Open("acme", w.ID, sealed); err != nil || opened != secret {
		t.Errorf("the stored secret opens to another: %v", err)
	}

	check(t, s.Delete(ctx, "acme", w.ID))
	if _, err := s.Get(ctx, "acme", w.ID); !errors.As(err, &missing) {
		t.Errorf("after the deletion: %v", err)
	}
	if err := s.Delete(ctx, "acme", w.ID); !errors.As(err, &missing) {
		t.Errorf("a second deletion: %v", err)
	}
	check(t, db.QueryRow(`SELECT secret FROM webhooks WHERE id = $1`, w.ID).Scan(&sealed))
	if len(sealed) != 0 {
		t.Error("the secret outlives the webhook")
	}
	if _, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"}); err != nil {
		t.Errorf("the name of a deleted webhook is not free: %v", err)
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	tx, err := db.Begin()
	check(t, err)
	w, _, err := s.CreateTx(ctx, tx, "acme", New{Name: "one", URL: "https://example.com"})
	check(t, err)
	if _, _, err := s.CreateTx(ctx, tx, "acme", New{Name: "one", URL: "https://example.com"}); !errors.As(err, new(*NameTakenError)) {
		t.Errorf("the same name: %v", err)
	}
	if _, _, err := s.CreateTx(ctx, tx, "acme", New{Name: "two", URL: "https://example.com"}); err != nil {
		t.Errorf("a refusal spoiled the transaction: %v", err)
	}
	check(t, tx.Rollback())
	if _, err := s.Get(ctx, "acme", w.ID); err == nil {
		t.Error("the webhook outlives its transaction")
	}
	w, _, err = s.Create(ctx, "acme", New{Name: "three", URL: "https://example.com"})
	check(t, err)
	tx, err = db.Begin()
	check(t, err)
	check(t, s.DeleteTx(ctx, tx, "acme", w.ID))
	check(t, tx.Rollback())
	if _, err := s.Get(ctx, "acme", w.ID); err != nil {
		t.Errorf("a deletion that was rolled back: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ctx := context.Background()
	var all []string
	for i := range 7 {
		w, _, err := s.Create(ctx, "acme", New{Name: fmt.Sprint(i), URL: "https://example.com"})
		check(t, err)
		all = append(all, w.ID)
	}
	var listed []string
	for cursor, pages := "", 0; ; pages++ {
		page, next, err := s.List(ctx, "acme", cursor, 3)
		check(t, err)
		for _, w := range page {
			listed = append(listed, w.ID)
		}
		if pages == 0 { // the cursor itself is deleted between two pages
			check(t, s.Delete(ctx, "acme", next))
		}
		if cursor = next; next == "" {
			break
		}
	}
	if strings.Join(listed, " ") != strings.Join(all, " ") {
		t.Errorf("listed %v, want %v", listed, all)
	}
	if page, _, err := s.List(ctx, "other", "", 0); err != nil || len(page) != 0 {
		t.Errorf("another workspace lists %d, %v", len(page), err)
	}
	for workspace, cursor := range map[string]string{"acme": "nonsense", "other": all[0]} {
		if _, _, err := s.List(ctx, workspace, cursor, 3); !errors.As(err, new(*InvalidError)) {
			t.Errorf("cursor %s in %s: %v", cursor, workspace, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for _, c := range []struct {
		change func(*New)
		fields string
	}{
		{func(n *New) {}, ""},
		{func(n *New) { *n = New{} }, "name url"},
		{func(n *New) { n.Name = "a\nb" }, "name"},
		{func(n *New) { n.Name = strings.Repeat("ä", 101) }, "name"},
		{func(n *New) { n.Name = strings.Repeat("ä", 100) }, ""},
		{func(n *New) { n.Events = []string{"order.placed", "order.eaten"} }, "events"},
		{func(n *New) { n.Profile = "chord" }, "profile"},
		{func(n *New) { n.Secret = "whsec_short" }, "secret"},
		{func(n *New) { n.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }, ""},
		{func(n *New) { n.URL = "http://example.com" }, "url"},
		{func(n *New) { n.URL = "ftp://example.com" }, "url"},
		{func(n *New) { n.URL = "https://" }, "url"},
		{func(n *New) { n.URL = "https:example.com" }, "url"},
		{func(n *New) { n.URL = "/path" }, "url"},
		{func(n *New) { n.URL = "https://user:password@example.com" }, "url"},
		{func(n *New) { n.URL = "https://example.com/#part" }, "url"},
		{func(n *New) { n.URL = "https://example.com/#" }, "url"},
		{func(n *New) { n.URL = "https://example.com:port" }, "url"},
		{func(n *New) { n.URL = "https://example.com:0" }, "url"},
		{func(n *New) { n.URL = "https://example.com:65536" }, "url"},
		{func(n *New) { n.URL = "https://example.com:65535" }, ""},
		{func(n *New) { n.URL = "https://example.com:" }, ""},
		{func(n *New) { n.URL = "https://example.com/" + strings.Repeat("x", 2048) }, "url"},
		{func(n *New) { n.URL = "https://example.com:8443/a?b=c" }, ""},
		{func(n *New) { n.URL = "https://[2606:4700::1111]/" }, ""},
	} {
		n := New{Name: "one", URL: "https://example.com"}
		c.change(&n)
		_, _, err := s.Create(context.Background(), "acme"+fmt.Sprint(c.fields, time.Now().UnixNano()), n)
		invalid := new(InvalidError)
		var fields []string
		if errors.As(err, &invalid) {
			for _, f := range invalid.Fields {
				fields = append(fields, f.Field)
			}
		} else {
			check(t, err)
		}
		if got := strings.Join(fields, " "); got != c.fields {
			t.Errorf("%+v: wrong fields %q, want %q", n, got, c.fields)
		}
		if err != nil && strings.Contains(err.Error(), "password@") {
			t.Errorf("the error quotes a password: %v", err)
		}
	}
	s.config.AllowHTTP = true
	if _, _, err := s.Create(context.Background(), "acme", New{Name: "plain", URL: "http://example.com"}); err != nil {
		t.Errorf("plain http where it is allowed: %v", err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	if secret == NewSecret() {
		t.Fatal("two secrets are the same")
	}
	holder := struct{ Secret Secret }{secret}
	encoded, err := json.Marshal(holder)
	check(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "secret", secret, "holder", holder, "new", New{Secret: secret})
	for _, shown := range []string{fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q", holder, holder, holder, secret, secret), string(encoded), log.String()} {
		if strings.Contains(shown, secret.Reveal()) || strings.Contains(shown, secret.Reveal()[6:20]) {
			t.Errorf("the secret shows: %s", shown)
		}
	}
}

func TestSealer(t *testing.T) {
	t.Parallel()
	old, current := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	before, err := NewSealer(old)
	check(t, err)
	after, err := NewSealer(current, old)
	check(t, err)
	secret := NewSecret()
	sealed := before.Seal("acme", "wh_1", secret)
	if opened, err := after.Open("acme", "wh_1", sealed); err != nil || opened != secret {
		t.Errorf("with the old key behind the current one: %v", err)
	}
	if bytes.Equal(sealed, before.Seal("acme", "wh_1", secret)) {
		t.Error("sealing twice gives the same")
	}
	for name, open := range map[string]func() (Secret, error){
		"another webhook":   func() (Secret, error) { return before.Open("acme", "wh_2", sealed) },
		"another workspace": func() (Secret, error) { return before.Open("acm", "ewh_1", sealed) },
		"an unknown key":    func() (Secret, error) { return before.Open("acme", "wh_1", after.Seal("acme", "wh_1", secret)) },
		"nothing":           func() (Secret, error) { return before.Open("acme", "wh_1", nil) },
		"a part":            func() (Secret, error) { return before.Open("acme", "wh_1", sealed[:20]) },
		"a flipped bit": func() (Secret, error) {
			damaged := bytes.Clone(sealed)
			damaged[len(damaged)-1] ^= 1
			return before.Open("acme", "wh_1", damaged)
		},
	} {
		if opened, err := open(); !errors.As(err, new(*SealError)) || opened != "" || strings.Contains(err.Error(), secret.Reveal()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewSealer(); err == nil {
		t.Error("a sealer without keys")
	}
	if _, err := NewSealer(make([]byte, 16)); err == nil {
		t.Error("a short key")
	}
	for text, want := range map[string]int{
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=":                                               1,
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=": 2,
		"": 0, "AAAA": 0, "nonsense": 0,
	} {
		if keys, err := ParseMasterKeys(text); len(keys) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d keys, %v", text, len(keys), err)
		}
	}
}

func TestPurgeIsBounded(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"})
	check(t, err)
	_, err = db.Exec(`INSERT INTO deliveries (webhook, transaction_id, position, stream)
		SELECT number, '1', i, 'order/1' FROM webhooks, generate_series(1, 25) i`)
	check(t, err)
	left := func() (n int) {
		check(t, db.QueryRow(`SELECT count(*) FROM deliveries`).Scan(&n))
		return n
	}
	if more, err := Purge(ctx, db.DB, "deliveries", 10); err != nil || more || left() != 25 {
		t.Fatalf("a webhook that is not deleted: more %v, %d left, %v", more, left(), err)
	}
	check(t, s.Delete(ctx, "acme", w.ID))
	for _, want := range []int{15, 5, 0, 0} {
		if more, err := Purge(ctx, db.DB, "deliveries", 10); err != nil || !more || left() != want {
			t.Fatalf("more %v, %d left, want %d, %v", more, left(), want, err)
		}
	}
	if more, err := Purge(ctx, db.DB, "deliveries", 10); err != nil || more {
		t.Errorf("afterwards: more %v, %v", more, err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com", RateLimit: 5, Retries: []Duration{}})
	check(t, err)
	_, _, err = s.Create(ctx, "acme", New{Name: "two", URL: "https://example.com"})
	check(t, err)
	revision := func() (n int) {
		t.Helper()
		check(t, db.QueryRow(`SELECT revision FROM webhooks WHERE id = $1`, w.ID).Scan(&n))
		return n
	}
	ptr := func(s string) *string { return &s }
	no, ten := false, 10
	events, retries := []string{"order.placed", "order.placed"}, []Duration{Duration(time.Second), Duration(time.Minute)}
	for i, c := range []struct {
		update Update
		change func(*Webhook)
		fields string
	}{
		{update: Update{}},
		{update: Update{Name: ptr("three"), URL: ptr("https://example.com/other")}, change: func(w *Webhook) { w.Name, w.URL = "three", "https://example.com/other" }},
		{update: Update{Events: &events, Filter: ptr("body.n > 1")}, change: func(w *Webhook) { w.Events, w.Filter = []string{"order.placed"}, "body.n > 1" }},
		{update: Update{RateLimit: &ten, Active: &no, Ordered: &no}, change: func(w *Webhook) { w.RateLimit, w.Active, w.Ordered = 10, false, false }},
		{update: Update{Retries: &retries}, change: func(w *Webhook) { w.Retries = retries }},
		{update: Update{Retries: new([]Duration)}, change: func(w *Webhook) { w.Retries = nil }},
		{update: Update{Name: ptr(" "), URL: ptr("nowhere"), Filter: ptr("1 +"), RateLimit: func() *int { n := -1; return &n }()}, fields: "name url rateLimit filter"},
		{update: Update{Events: &[]string{"order.eaten"}, Include: &[]string{"customer"}}, fields: "include events"},
		{update: Update{Retries: &[]Duration{-1, Duration(1000 * time.Hour)}}, fields: "retries[0] retries[1]"},
	} {
		before := revision()
		got, err := s.Update(ctx, "acme", w.ID, c.update)
		if invalid := new(InvalidError); errors.As(err, &invalid) {
			var fields []string
			for _, f := range invalid.Fields {
				fields = append(fields, f.Field)
			}
			if strings.Join(fields, " ") != c.fields || revision() != before {
				t.Errorf("update %d: wrong fields %v, want %s", i, fields, c.fields)
			}
			continue
		}
		check(t, err)
		if c.change != nil {
			c.change(&w)
		}
		if got.UpdatedAt.Before(w.UpdatedAt) {
			t.Errorf("update %d: updated at %s", i, got.UpdatedAt)
		}
		w.UpdatedAt = got.UpdatedAt
		stored, err := s.Get(ctx, "acme", w.ID)
		check(t, err)
		if fmt.Sprint(got) != fmt.Sprint(w) || fmt.Sprint(stored) != fmt.Sprint(w) || (stored.Retries == nil) != (w.Retries == nil) {
			t.Errorf("update %d:\ngot    %+v\nstored %+v\nwant   %+v", i, got, stored, w)
		}
		if revision() != before+1 {
			t.Errorf("update %d: relays would not notice", i)
		}
	}
	if _, err := s.Update(ctx, "acme", w.ID, Update{Name: ptr("two")}); !errors.As(err, new(*NameTakenError)) {
		t.Errorf("a name that is taken: %v", err)
	}
	missing := new(domain.NotFoundError)
	for what, err := range map[string]error{
		"update": func() error { _, err := s.Update(ctx, "other", w.ID, Update{}); return err }(),
		"rotate": func() error { _, _, err := s.RotateSecret(ctx, "other", w.ID, ""); return err }(),
		"reset":  func() error { _, err := s.Reset(ctx, "other", w.ID); return err }(),
	} {
		if !errors.As(err, &missing) {
			t.Errorf("%s in another workspace: %v", what, err)
		}
	}
	if _, _, err := s.RotateSecret(ctx, "acme", w.ID, "whsec_short"); !errors.As(err, new(*InvalidError)) {
		t.Errorf("a rotation to a bad secret: %v", err)
	}
	var sealed, sealedBefore []byte
	_, until, err := s.RotateSecret(ctx, "acme", w.ID, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	check(t, err)
	check(t, db.QueryRow(`SELECT secret, secret_before FROM webhooks WHERE id = $1`, w.ID).Scan(&sealed, &sealedBefore))
	opened, err := s.config.Sealer.Open("acme", w.ID, sealed)
	if err != nil || opened != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" || len(sealedBefore) == 0 || bytes.Contains(sealed, []byte("MfKQ9r8GKYqr")) {
		t.Errorf("after the rotation: %v, %v", err, sealedBefore)
	}
	if left := time.Until(until); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the old secret signs until %s", until)
	}
	check(t, s.Delete(ctx, "acme", w.ID))
	check(t, db.QueryRow(`SELECT secret, coalesce(secret_before, '') FROM webhooks WHERE id = $1`, w.ID).Scan(&sealed, &sealedBefore))
	if len(sealed)+len(sealedBefore) != 0 {
		t.Error("a secret outlives its webhook")
	}
}

func TestUpdateInATransaction(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"})
	check(t, err)
	name := "two"
	tx, err := db.Begin()
	check(t, err)
	_, err = s.UpdateTx(ctx, tx, "acme", w.ID, Update{Name: &name})
	check(t, err)
	_, _, err = s.RotateSecretTx(ctx, tx, "acme", w.ID, "")
	check(t, err)
	// Whoever records attempts refers to the row, and must not wait.
	_, err = db.Exec(`SET lock_timeout = '1 s'; INSERT INTO circuits VALUES (1, 'failing', 1, now())`)
	check(t, err)
	check(t, tx.Rollback())
	if got, err := s.Get(ctx, "acme", w.ID); err != nil || got.Name != "one" || got.Health.State != Failing {
		t.Errorf("%+v, %v", got, err)
	}
}

// Two transactions take one name at the same time. The second is refused once the first has committed, and goes on.
func TestRenamingAtOnce(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	ids := make([]string, 2)
	for i := range ids {
		w, _, err := s.Create(ctx, "acme", New{Name: fmt.Sprint("old ", i), URL: "https://example.com"})
		check(t, err)
		ids[i] = w.ID
	}
	name, other := "new", "another"
	first, err := db.Begin()
	check(t, err)
	second, err := db.Begin()
	check(t, err)
	defer second.Rollback()
	var pid int
	check(t, second.QueryRow(`SELECT pg_backend_pid()`).Scan(&pid))
	_, err = s.UpdateTx(ctx, first, "acme", ids[0], Update{Name: &name})
	check(t, err)
	refused := make(chan error)
	go func() {
		_, err := s.UpdateTx(ctx, second, "acme", ids[1], Update{Name: &name})
		refused <- err
	}()
	for waits := false; !waits; {
		check(t, db.QueryRow(`SELECT cardinality(pg_blocking_pids($1)) > 0`, pid).Scan(&waits))
	}
	check(t, first.Commit())
	if err := <-refused; !errors.As(err, new(*NameTakenError)) {
		t.Fatalf("the second: %v", err)
	}
	_, err = s.UpdateTx(ctx, second, "acme", ids[1], Update{Name: &other})
	check(t, err)
	check(t, second.Commit())
	if got, err := s.Get(ctx, "acme", ids[1]); err != nil || got.Name != other {
		t.Errorf("%+v, %v", got, err)
	}
}

// A refused update leaves everything as it was, in a transaction that goes on, too.
func TestRefusedUpdateChangesNothing(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"})
	check(t, err)
	_, _, err = s.Create(ctx, "acme", New{Name: "two", URL: "https://example.com"})
	check(t, err)
	_, err = db.Exec(`INSERT INTO circuits (webhook, state, failures, failing_since, stopped_at, reason) SELECT number, 'disabled', 7, now(), now(), 'x'
		FROM webhooks WHERE id = $1`, w.ID)
	check(t, err)
	before, err := s.Get(ctx, "acme", w.ID)
	check(t, err)
	yes, taken, nowhere := true, "two", "nowhere"
	good, bad := NewSecret(), Secret("hunter2")
	tx, err := db.Begin()
	check(t, err)
	for what, u := range map[string]Update{
		"a taken name": {Active: &yes, Name: &taken, Secret: &good}, "a bad URL": {Active: &yes, URL: &nowhere, Secret: &good},
		"a bad secret": {Active: &yes, Secret: &bad}, "no secret": {Active: &yes, Secret: new(Secret)},
	} {
		if _, err := s.UpdateTx(ctx, tx, "acme", w.ID, u); !errors.As(err, new(*InvalidError)) && !errors.As(err, new(*NameTakenError)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, tx.Commit())
	if got, err := s.Get(ctx, "acme", w.ID); err != nil || fmt.Sprintf("%+v", got.Health.State) != fmt.Sprintf("%+v", before.Health.State) || got.UpdatedAt != before.UpdatedAt {
		t.Errorf("%+v, %v", got, err)
	}
}

// Enabling and resetting at the same time is fine: nobody waits in a circle.
func TestEnableAndResetAtOnce(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, _, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"})
	check(t, err)
	for range 30 {
		_, err = db.Exec(`INSERT INTO circuits (webhook, state, failures, failing_since, stopped_at, reason) VALUES (1, 'disabled', 7, now(), now(), 'x')
			ON CONFLICT (webhook) DO NOTHING`)
		check(t, err)
		yes := true
		failures := make(chan error, 4)
		for range 2 {
			go func() { _, err := s.Update(ctx, "acme", w.ID, Update{Active: &yes}); failures <- err }()
			go func() { _, err := s.Reset(ctx, "acme", w.ID); failures <- err }()
		}
		for range cap(failures) {
			check(t, <-failures)
		}
	}
	if got, err := s.Get(ctx, "acme", w.ID); err != nil || got.Health.State != Healthy || !got.Active {
		t.Errorf("%+v, %v", got, err)
	}
}

// A secret can be changed like any other parameter: it is rotated, unless it is the one that the webhook has already.
func TestUpdateSecret(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	ctx := context.Background()
	w, first, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com"})
	check(t, err)
	second := NewSecret()
	for _, c := range []struct{ given, present, before Secret }{
		{first, first, ""}, {second, second, first}, {second, second, first}, {first, first, second},
	} {
		_, err := s.Update(ctx, "acme", w.ID, Update{Secret: &c.given})
		check(t, err)
		var sealed [2][]byte
		check(t, db.QueryRow(`SELECT secret, coalesce(secret_before, '') FROM webhooks`).Scan(&sealed[0], &sealed[1]))
		for i, want := range []Secret{c.present, c.before} {
			got := Secret("")
			if len(sealed[i]) > 0 {
				got, err = s.config.Sealer.Open("acme", w.ID, sealed[i])
				check(t, err)
			}
			if got.Reveal() != want.Reveal() {
				t.Errorf("secret %d is not the one that was expected", i)
			}
		}
	}
}

// A secret that a profile can do without is made up only where one is asked for.
func TestOptionalSecret(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	s.config.Profiles = profile.All(map[string]*domain.Aggregate{order.Name: order.Aggregate()})
	ctx := context.Background()
	w, secret, err := s.Create(ctx, "acme", New{Name: "one", URL: "https://example.com", Profile: "up42", Events: []string{"order.status"}})
	check(t, err)
	stored := func() (n, before int) {
		t.Helper()
		check(t, db.QueryRow(`SELECT length(secret), coalesce(length(secret_before), 0) FROM webhooks`).Scan(&n, &before))
		return n, before
	}
	if n, _ := stored(); secret != "" || n != 0 {
		t.Errorf("a secret of %d bytes was made", n)
	}
	secret, _, err = s.RotateSecret(ctx, "acme", w.ID, "")
	check(t, err)
	if n, before := stored(); secret == "" || n == 0 || before != 0 {
		t.Errorf("after a rotation from none: %d bytes, %d before", n, before)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	const body = `{"data":{"order":{"total":1234,"currency":"USD","rate":0.5,"tags":["vip","new"],"note":null},"big":12345678901234567890}}`
	for expression, want := range map[string]string{
		`body.data.order.total > 1000`:                               "true",
		`body.data.order.total + 1 == 1235`:                          "true",
		`body.data.order.total > 1000.5 && body.data.order.rate < 1`: "true",
		`body.data.order.currency in ["EUR", "USD"]`:                 "true",
		`"vip" in body.data.order.tags`:                              "true",
		`body.data.order.tags.exists(t, t.startsWith("n"))`:          "true",
		`event == "order.placed" || event.endsWith(".paid")`:         "true",
		`has(body.data.order.absent) && body.data.order.absent > 1`:  "false",
		`body.data.order.note == null`:                               "true",
		`body.data.big > 1`:                                          "true",
		`body.data.order.currency.matches("^U")`:                     "true",
		`body.data.order.absent > 1`:                                 "error",
		`body.data.order.currency > 1`:                               "error",
		`body.data.order`:                                            "error",
		`body.`:                                                      "invalid",
		`nothing == 1`:                                               "invalid",
		`"text"`:                                                     "invalid",
		`event + 1 == "a"`:                                           "invalid",
		`now() > 1`:                                                  "invalid",
		`[1,2].all(a, [1,2].all(b, body.x.all(c, body.y.all(d, body.z.all(e, a+b+c+d+e > 1)))))`: "invalid",
		strings.Repeat("!", 100) + "true":         "true",
		`true` + strings.Repeat(" || true", 1000): "invalid",
	} {
		f, err := CompileFilter(expression)
		got := "invalid"
		if err == nil {
			matches, err := f.Matches("order.placed", []byte(body))
			if got = fmt.Sprint(matches); err != nil {
				got = "error"
			}
		}
		if got != want {
			t.Errorf("%.100s: %s (%v), want %s", expression, got, err, want)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 1000) {
			t.Errorf("%.100s: no line for people: %v", expression, err)
		}
	}
	f, err := CompileFilter(`body.list.exists(a, body.list.exists(b, a + b == -1))`)
	check(t, err)
	list := strings.Repeat("1,", 20_000) + "1"
	began := time.Now()
	if _, err := f.Matches("", []byte(`{"list":[`+list+`]}`)); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("a costly body took %s, %v", time.Since(began), err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, expression := range []string{`body.a > 1`, `"x" in body.tags`, `body.list.all(x, x > 1)`, `event.matches("a*")`} {
		f.Add(expression, `{"a":2,"tags":["x"],"list":[1,2]}`)
	}
	f.Fuzz(func(t *testing.T, expression, body string) {
		filter, err := CompileFilter(expression)
		if err != nil {
			return
		}
		first, err := filter.Matches("order.placed", []byte(body))
		again, errAgain := filter.Matches("order.placed", []byte(body))
		if first != again || (err == nil) != (errAgain == nil) {
			t.Errorf("%s gives %v and %v", expression, first, again)
		}
	})
}

// What is taken as a URL is one that can be connected to, has no place for a secret that would show, and is sent as it was given.
func FuzzURL(f *testing.F) {
	for _, address := range []string{"https://example.com:8443/a?b=c", "https://[::1%25lo]:1/", "https://user@example.com", "https://a\\b/", "https://example.com:0x1/", "HTTPS://ÄÖ.example/"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if checkURL(address, true) != "" {
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
			t.Fatalf("%q: %+v, %v", address, u, err)
		}
		request, err := http.NewRequest(http.MethodPost, address, nil)
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		var wire bytes.Buffer
		if err := request.Write(&wire); err == nil && (strings.Count(wire.String(), "\r\n\r\n") != 1 || strings.Count(wire.String(), "\nHost: ") != 1) {
			t.Errorf("%q becomes more than one request: %q", address, wire.String())
		}
	})
}
