package chaos

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// saboteur breaks a relay, for each webhook in the way that its name says.
type saboteur struct {
	next http.RoundTripper
	mu   sync.Mutex
	n    int
	sent map[Delivery]int
}

func (s *saboteur) RoundTrip(r *http.Request) (*http.Response, error) {
	d := deliveryOf(r)
	s.mu.Lock()
	s.n++
	unlucky := s.n%5 == 0
	s.sent[d]++
	times := s.sent[d]
	s.mu.Unlock()
	switch {
	case d.Webhook == "phantom" && unlucky: // it was never sent
		r.Body.Close()
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	case d.Webhook == "optimist": // whatever the receiver said
		response, err := s.next.RoundTrip(r)
		if err == nil {
			response.StatusCode = http.StatusOK
		}
		return response, err
	case d.Webhook == "twice" && unlucky:
		again := r.Clone(r.Context())
		if response, err := s.next.RoundTrip(r); err != nil || response.StatusCode != http.StatusOK {
			return response, err
		}
		var err error
		if again.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
		return s.next.RoundTrip(again)
	case d.Webhook == "alter" && times > 1:
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(" "), r.Body))
		r.ContentLength++
	}
	return s.next.RoundTrip(r)
}

// A run without faults, and with a relay, a receiver and tables that are broken, each for a webhook of its own. The checker has to
// find each, and nothing wrong with the one that is not.
func TestBrokenRelaysAreCaught(t *testing.T) {
	r := newRun(t, plan{Relays: 1, Workers: 1, Rate: 200, Seed: 7, Broken: true, Moods: []mood{{"accept", 20}, {"fail", 4}, {"swallow", 2}}}, false)
	for _, name := range []string{"sane", "phantom", "optimist", "twice", "alter", "skip", "lose", "reorder"} {
		r.subscribe(name)
	}
	r.throughInbox(r.subscribe("forget"))
	r.sql(`CREATE FUNCTION chaos_skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RETURN CASE WHEN NEW.position % 20 = 0 AND NEW.webhook = (SELECT number FROM webhooks WHERE name = 'skip') THEN NULL ELSE NEW END;
		END $$;
		CREATE TRIGGER chaos_skip BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION chaos_skip();
		CREATE FUNCTION chaos_forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			DELETE FROM waybill_inbox WHERE id = NEW.event;
			RETURN NEW;
		END $$;
		CREATE TRIGGER chaos_forget BEFORE INSERT ON chaos_processed FOR EACH ROW EXECUTE FUNCTION chaos_forget();
		UPDATE webhooks SET ordered = false WHERE name = 'reorder'`) // behind the checker's back
	r.start()
	lost := func() (n int64) {
		result, err := r.db.Exec(`DELETE FROM deliveries WHERE state = 'blocked' AND webhook = (SELECT number FROM webhooks WHERE name = 'lose')`)
		r.must(err)
		n, err = result.RowsAffected()
		r.must(err)
		return n
	}
	if !r.progress(1500, patience) || !r.eventually(patience, func() bool { return lost() > 0 }) {
		t.Fatal("nothing is delivered, or nothing fails")
	}
	r.finish()
	r.sql(`ALTER TABLE events DISABLE TRIGGER events_append_only;
		UPDATE events SET metadata = replace(metadata::text, '"actor":"clerk', '"actor":"Clerk')::json WHERE position = (SELECT max(position) / 2 FROM events)`)
	h := r.history()
	violations := Check(h)
	t.Logf("\n%s", Summarize(h, violations))
	r.crashed()

	found := map[string]map[string]int{} // by webhook and rule
	for _, v := range violations {
		webhook, _, _ := strings.Cut(v.What, " ")
		if found[webhook] == nil {
			found[webhook] = map[string]int{}
		}
		found[webhook][v.Rule]++
	}
	for webhook, rules := range map[string][]string{
		"phantom": {RecordedUnsent, Lost}, "optimist": {RecordedUnsent, Lost}, "twice": {SentAgain}, "alter": {OtherBytes, Forged},
		"skip": {Lost}, "lose": {Lost}, "reorder": {OutOfOrder}, "forget": {ProcessedTwice},
	} {
		for _, rule := range rules {
			if found[webhook][rule] == 0 {
				t.Errorf("%s: no violation %q was found", webhook, rule)
			}
		}
	}
	broken := 0
	for what, rules := range found {
		broken += rules[BrokenHistory]
		if rules[BrokenCommand] > 0 {
			t.Errorf("%s: %d commands are said to be broken", what, rules[BrokenCommand])
		}
	}
	if broken != 1 {
		t.Errorf("%d broken histories were found, want 1", broken)
	}
	if len(found["sane"]) > 0 {
		t.Errorf("the sane webhook is said to have %v", found["sane"])
	}
}

func (r *run) sql(statements string) {
	r.t.Helper()
	_, err := r.db.Exec(statements)
	r.must(err)
}
