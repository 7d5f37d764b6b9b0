package inbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/inbox"
	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var now = time.Unix(1614265330, 0)

func newBox(t *testing.T, config inbox.Config) (*inbox.Box, *sql.DB) {
	t.Helper()
	db := pgtest.Empty(t).DB
	if config.Secrets == nil {
		config.Secrets = []string{secret}
	}
	config.Now = func() time.Time { return now }
	box, err := inbox.New(db, config)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time is harmless
		if err := box.CreateTable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`CREATE TABLE work (id text)`); err != nil {
		t.Fatal(err)
	}
	return box, db
}

// signed is a header as a sender makes it.
func signed(id string, at time.Time, body string) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

func work(ctx context.Context, tx *sql.Tx, m inbox.Message) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO work VALUES ($1)`, m.ID)
	return err
}

func worked(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(`SELECT count(*) FROM work`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The vector is that of the Standard Webhooks specification's own libraries.
func TestVerify(t *testing.T) {
	t.Parallel()
	box, _ := newBox(t, inbox.Config{Secrets: []string{"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24)), secret}})
	const body = `{"test": 2432232314}`
	good := func() http.Header {
		h := http.Header{}
		h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
		h.Set("webhook-timestamp", "1614265330")
		h.Set("webhook-signature", "v1a,AAAA v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
		return h
	}
	m, err := box.Verify(good(), []byte(body))
	if err != nil || m.ID != "msg_p5jXN8AQM9LWM0D4loKWxJek" || !m.SentAt.Equal(now) || string(m.Body) != body {
		t.Errorf("the vector gave %+v, %v", m, err)
	}
	for name, test := range map[string]struct {
		header, value string
		want          error
	}{
		"no id":           {"webhook-id", "", inbox.ErrNotSigned},
		"no signature":    {"webhook-signature", "", inbox.ErrNotSigned},
		"no timestamp":    {"webhook-timestamp", "", inbox.ErrNotSigned},
		"other id":        {"webhook-id", "msg_x", inbox.ErrSignature},
		"other timestamp": {"webhook-timestamp", "1614265331", inbox.ErrSignature},
		"too old":         {"webhook-timestamp", "1614265029", inbox.ErrTimestamp},
		"from the future": {"webhook-timestamp", "1614265631", inbox.ErrTimestamp},
		"no number":       {"webhook-timestamp", "soon", inbox.ErrTimestamp},
		"garbage":         {"webhook-signature", "v1, v1,! g0hM9", inbox.ErrSignature},
		"wrong scheme":    {"webhook-signature", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", inbox.ErrSignature},
	} {
		h := good()
		h.Set(test.header, test.value)
		if _, err := box.Verify(h, []byte(body)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := box.Verify(good(), []byte(body+" ")); !errors.Is(err, inbox.ErrSignature) {
		t.Errorf("another body: %v", err)
	}
	for _, bad := range [][]string{nil, {""}, {"MfKQ"}, {"whsec_"}, {"whsec_!"}} {
		if _, err := inbox.New(nil, inbox.Config{Secrets: bad}); err == nil || strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("secrets %q: %v", bad, err)
		}
	}
}

// Copies that come at once, and copies after a failure: the work is done once.
func TestOnce(t *testing.T) {
	t.Parallel()
	box, db := newBox(t, inbox.Config{})
	var fail atomic.Bool
	server := httptest.NewServer(box.Handler(func(ctx context.Context, tx *sql.Tx, m inbox.Message) error {
		if err := work(ctx, tx, m); err != nil {
			return err
		}
		if fail.Load() {
			return errors.New("a secret reason")
		}
		return nil
	}))
	defer server.Close()
	post := func(header http.Header, body string) (int, string) {
		request, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		request.Header = header
		response, err := server.Client().Do(request)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer response.Body.Close()
		var text bytes.Buffer
		text.ReadFrom(response.Body)
		return response.StatusCode, text.String()
	}

	fail.Store(true)
	if status, text := post(signed("a", now, "{}"), "{}"); status != 500 || strings.Contains(text, "secret") {
		t.Errorf("failing work was answered %d %q", status, text)
	}
	if n := worked(t, db); n != 0 {
		t.Errorf("failed work left %d rows", n)
	}
	fail.Store(false)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if status, text := post(signed("a", now, "{}"), "{}"); status != 204 {
				t.Errorf("answered %d %q", status, text)
			}
		})
	}
	wg.Wait()
	if n := worked(t, db); n != 1 {
		t.Errorf("16 copies were worked on %d times", n)
	}

	if status, _ := post(signed("a", now, `{"other":1}`), `{"other":1}`); status != 204 {
		t.Errorf("the id with another body was answered %d", status)
	}
	if n := worked(t, db); n != 1 {
		t.Errorf("another body was worked on: %d", n)
	}
	if status, _ := post(signed("b", now, "{}"), "{ }"); status != 401 {
		t.Errorf("a forged body was answered %d", status)
	}
	if status, _ := post(signed("c", now, "{}"), strings.Repeat("x", 1<<20+1)); status != 413 {
		t.Errorf("a huge body was answered %d", status)
	}
	response, err := http.Get(server.URL)
	if err != nil || response.StatusCode != 405 {
		t.Errorf("GET was answered %v, %v", response, err)
	}
	response.Body.Close()
}

func TestFirstIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	box, db := newBox(t, inbox.Config{})
	m := inbox.Message{ID: "a", Body: []byte("{}")}
	for i, commit := range []bool{false, true, true} {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		first, err := box.First(t.Context(), tx, m)
		if err != nil || first != (i < 2) {
			t.Errorf("time %d: first is %v, %v", i+1, first, err)
		}
		if commit {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	other, err := inbox.New(db, inbox.Config{Secrets: []string{secret}, Source: "another webhook"})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := other.Process(t.Context(), m, work); err != nil || !first {
		t.Errorf("another source's id: first is %v, %v", first, err)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	box, db := newBox(t, inbox.Config{})
	for i := range 5 {
		if _, err := box.Process(t.Context(), inbox.Message{ID: fmt.Sprint(i)}, work); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`UPDATE waybill_inbox SET received_at = now() - interval '10 days' WHERE id < '3'`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{2, 1, 0} {
		if n, err := box.Forget(t.Context(), time.Now().Add(-5*24*time.Hour), 2); err != nil || n != want {
			t.Errorf("forgot %d, %v; want %d", n, err, want)
		}
	}
}
