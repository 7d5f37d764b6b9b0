package delivery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/profile"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// target is where and how a webhook is delivered to: its settings, made ready for use.
type target struct {
	id, workspace string
	url           *url.URL
	revision      int
	ordered       bool
	events        []string
	include       []string
	rateLimit     int // attempts a second; 0 is no limit
	profile       *profile.Profile
	asked         string // events and include in one: what a message depends on besides its event and the profile
	schedule      profile.Schedule
	filter        *webhook.Filter // nil where there is none
	failures      int             // in a row, when this was read

	sign     profile.Sign
	signBoth profile.Sign // with the secret before, too; nil where there is none
	bothTo   time.Time    // before this time, signBoth signs

	fault error // why nothing can be sent with these settings; the deliveries wait until it is mended

	complained atomic.Bool // about the filter
}

// selectTargets reads what scanTarget takes, of active webhooks that nothing has stopped.
const selectTargets = `
SELECT w.number, w.id, w.workspace, w.url, w.revision, w.ordered, w.events, w.include, w.filter, w.rate_limit, w.retries, w.profile,
	w.secret, w.secret_before, w.secret_before_until, coalesce(c.failures, 0)
FROM webhooks w LEFT JOIN circuits c ON c.webhook = w.number
WHERE w.deleted_at IS NULL`

func scanTarget(row interface{ Scan(...any) error }, profiles profile.Set, sealer *webhook.Sealer) (number int64, t *target, err error) {
	var address, filter, profileName string
	var retries pq.Int64Array
	var sealed, sealedBefore []byte
	var until sql.NullTime
	t = &target{}
	if err := row.Scan(&number, &t.id, &t.workspace, &address, &t.revision, &t.ordered, (*pq.StringArray)(&t.events), (*pq.StringArray)(&t.include),
		&filter, &t.rateLimit, &retries, &profileName, &sealed, &sealedBefore, &until, &t.failures); err != nil {
		return 0, nil, err
	}
	t.fault = t.equip(profiles, sealer, address, filter, profileName, retries, sealed, sealedBefore, until.Time)
	return number, t, nil
}

// equip finds the profile, opens the secrets and compiles the filter.
func (t *target) equip(profiles profile.Set, sealer *webhook.Sealer, address, filter, profileName string, retries pq.Int64Array,
	sealed, sealedBefore []byte, until time.Time) (err error) {
	if t.url, err = url.Parse(address); err != nil {
		return errors.New("its URL cannot be read") // the error would quote it
	}
	if t.profile = profiles[profileName]; t.profile == nil {
		return fmt.Errorf("this program has no profile %q", profileName)
	}
	t.schedule = t.profile.Schedule
	t.asked = strings.Join(t.events, ",") + "|" + strings.Join(t.include, ",")
	if retries != nil {
		t.schedule = profile.Schedule{}
		for _, us := range retries {
			t.schedule.Pauses = append(t.schedule.Pauses, time.Duration(us)*time.Microsecond)
		}
	}
	if filter != "" {
		if t.filter, err = webhook.CompileFilter(filter); err != nil {
			return fmt.Errorf("its filter %w", err)
		}
	}
	var secrets []string // the newest first
	for _, s := range [][]byte{sealed, sealedBefore} {
		if len(s) > 0 {
			secret, err := sealer.Open(t.workspace, t.id, s)
			if err != nil {
				return err
			}
			secrets = append(secrets, secret.Reveal())
		}
	}
	if len(sealedBefore) > 0 {
		if t.signBoth, err = t.profile.Signer(secrets); err != nil {
			return err
		}
		t.bothTo = until
	}
	t.sign, err = t.profile.Signer(secrets[:min(len(secrets), 1)])
	return err
}

// signAt signs with the secrets of that time.
func (t *target) signAt(header http.Header, m profile.Message, at time.Time) {
	if t.signBoth != nil && at.Before(t.bothTo) {
		t.signBoth(header, m, at)
		return
	}
	t.sign(header, m, at)
}

// errFilter says that a filter could not tell whether a body passes it.
type errFilter struct{ cause error }

func (e errFilter) Error() string { return "the filter cannot be applied: " + e.cause.Error() }

// render gives the message for an item. It returns [profile.ErrNothingToSay] where the filter refuses it, and an errFilter where that
// cannot tell.
func (d *Deliverer) render(ctx context.Context, t *target, it *item) (profile.Message, error) {
	m, err := d.message(ctx, t, it)
	if err != nil || t.filter == nil {
		return m, err
	}
	switch matches, err := t.filter.Matches(m.Event, m.Body); {
	case err != nil:
		return m, errFilter{err}
	case !matches:
		return m, profile.ErrNothingToSay
	}
	return m, nil
}

// messageKey tells messages from each other.
type messageKey struct {
	event   key
	profile string
	asked   string
}

// message folds and renders an item, unless that was just done for another webhook.
func (d *Deliverer) message(ctx context.Context, t *target, it *item) (profile.Message, error) {
	k := messageKey{it.key, t.profile.Name, t.asked}
	kept, ok := d.messages.Get(k)
	ok = ok && time.Since(kept.at) < keepMessage
	if ok && kept.opened == 0 {
		return kept.Message, nil // nothing in it can have been erased meanwhile
	}
	if err := d.states.ready(ctx, it); err != nil {
		return profile.Message{}, err
	}
	if ok && kept.opened == len(it.keys) {
		return kept.Message, nil
	}
	it.occurrence.Subscribed, it.occurrence.Include = t.events, t.include
	m, err := t.render(it.occurrence)
	if err == nil && d.owned.Load() > 1 && len(m.Body) <= maxKeptMessage {
		d.messages.Add(k, keptMessage{m, len(it.keys), time.Now()})
	}
	return m, err
}

// render asks the profile, which may be a program's own.
func (t *target) render(o profile.Occurrence) (_ profile.Message, err error) {
	defer domain.Rescue(&err, func() string {
		return "rendering " + o.Type + " of " + o.Stream.String() + " for profile " + t.profile.Name
	})
	return t.profile.Render(o)
}

type keptMessage struct {
	profile.Message
	opened int // with so many keys: with fewer, some of it was erased meanwhile
	at     time.Time
}

// keptMessages of at most maxKeptMessage bytes are in memory for a moment, for webhooks that are told the same.
const (
	keptMessages   = 2048
	maxKeptMessage = 16 << 10
	keepMessage    = 10 * time.Second
)

// targets reads the settings of webhooks, without those that have been switched off or stopped.
func (k *keeper) targets(ctx context.Context, numbers []int64) (map[int64]*target, error) {
	rows, err := k.d.config.DB.QueryContext(ctx, selectTargets+`
		AND w.number = ANY ($1) AND w.active AND (c.state IS NULL OR c.state = 'failing')`, pq.Int64Array(numbers))
	if err != nil {
		return nil, pgerr.Wrap("read webhooks", err)
	}
	defer rows.Close()
	targets := map[int64]*target{}
	for rows.Next() {
		number, t, err := scanTarget(rows, k.d.config.Profiles, k.d.config.Sealer)
		if err != nil {
			return nil, pgerr.Wrap("read webhooks", err)
		}
		targets[number] = t
	}
	return targets, pgerr.Wrap("read webhooks", rows.Err())
}
