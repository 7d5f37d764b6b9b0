package outbox

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-dev/waybill/internal/pgerr"
)

// Diagnosis is how the relay is doing, and what keeps it from doing better.
type Diagnosis struct {
	At        time.Time        `json:"at"` // by the database's clock, UTC
	Consumers []ConsumerLag    `json:"consumers"`
	Holders   []Holder         `json:"holders"` // oldest first
	Webhooks  []WebhookBacklog `json:"webhooks"`
	Relays    int              `json:"relays"` // processes that deliver
}

// ConsumerLag is how far a consumer of the log is behind.
type ConsumerLag struct {
	Consumer   string  `json:"consumer"`
	Events     int     `json:"events"`     // that it has not seen, at most [MaxCount]
	Held       int     `json:"held"`       // of these, not to be read yet, because an older transaction still runs
	LagSeconds float64 `json:"lagSeconds"` // the age of the oldest of them
}

// Holder is a transaction that keeps every consumer from reading what was appended after it began. It may be in another database of
// the same server, and have nothing to do with Waybill.
type Holder struct {
	Kind       string  `json:"kind"` // "session", "prepared transaction"
	PID        int     `json:"pid,omitempty"`
	Name       string  `json:"name,omitempty"` // of a prepared transaction
	Database   string  `json:"database"`
	User       string  `json:"user"`
	State      string  `json:"state,omitempty"` // such as "idle in transaction"
	AgeSeconds float64 `json:"ageSeconds"`      // of the transaction
	Query      string  `json:"query,omitempty"` // its latest, the beginning; empty where this database user may not see it
}

// WebhookBacklog is what is still to be delivered to a webhook.
type WebhookBacklog struct {
	Workspace  string  `json:"workspace"`
	Webhook    string  `json:"webhook"`
	Name       string  `json:"name"`
	Open       int     `json:"open"`       // deliveries, at most [MaxCount]
	Held       int     `json:"held"`       // of these, failed before or waiting behind one that has, at most [MaxCount]
	LagSeconds float64 `json:"lagSeconds"` // the age of the event of the oldest
	Owner      string  `json:"owner,omitempty"`
}

// MaxCount is where the diagnosis stops counting: it must not be a burden to a database that is in trouble.
const MaxCount = 100_000

// maxBacklogs bounds the list of webhooks.
const maxBacklogs = 100

// Diagnose looks at the database. It takes no transaction id, so it holds nobody up.
func Diagnose(ctx context.Context, db *sql.DB) (Diagnosis, error) {
	d := Diagnosis{Consumers: []ConsumerLag{}, Holders: []Holder{}, Webhooks: []WebhookBacklog{}}
	for _, look := range []func(context.Context, *sql.DB) error{d.lookAtRelays, d.lookAtConsumers, d.lookAtHolders, d.lookAtWebhooks} {
		if err := look(ctx, db); err != nil {
			return Diagnosis{}, pgerr.Wrap("diagnose the relay", err)
		}
	}
	return d, nil
}

// Healthy says that nothing holds the consumers, and none of them is behind by more than limit.
func (d Diagnosis) Healthy(limit time.Duration) bool {
	for _, c := range d.Consumers {
		if c.LagSeconds > limit.Seconds() {
			return false
		}
	}
	for _, h := range d.Holders {
		if h.AgeSeconds > limit.Seconds() {
			return false
		}
	}
	return true
}

func (d *Diagnosis) lookAtRelays(ctx context.Context, db *sql.DB) error {
	err := db.QueryRowContext(ctx, `SELECT now(), (SELECT count(*) FROM relays WHERE expires_at > now())`).Scan(&d.At, &d.Relays)
	d.At = d.At.UTC()
	return err
}

const consumerLags = `
SELECT c.consumer, count(e.position), count(e.position) FILTER (WHERE e.held), coalesce(extract(epoch FROM now() - min(e.recorded_at)), 0)
FROM checkpoints c LEFT JOIN LATERAL (
	SELECT position, recorded_at, transaction_id >= log_horizon() AS held FROM events
	WHERE (transaction_id, position) > (c.transaction_id, c.position)
	ORDER BY transaction_id, position LIMIT $1) e ON true
GROUP BY c.consumer ORDER BY c.consumer`

func (d *Diagnosis) lookAtConsumers(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, consumerLags, MaxCount)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c ConsumerLag
		if err := rows.Scan(&c.Consumer, &c.Events, &c.Held, &c.LagSeconds); err != nil {
			return err
		}
		d.Consumers = append(d.Consumers, c)
	}
	return rows.Err()
}

// horizonHolders finds whatever has a transaction id, in any database: pg_snapshot_xmin is the oldest of these. The session that asks has none.
const horizonHolders = `
SELECT 'session', pid, '', coalesce(datname, ''), coalesce(usename, ''), coalesce(state, ''),
	extract(epoch FROM now() - xact_start) AS age, left(coalesce(query, ''), 200)
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT 'prepared transaction', 0, gid, database, owner, '', extract(epoch FROM now() - prepared), ''
FROM pg_prepared_xacts
ORDER BY age DESC LIMIT 20`

func (d *Diagnosis) lookAtHolders(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, horizonHolders)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var h Holder
		if err := rows.Scan(&h.Kind, &h.PID, &h.Name, &h.Database, &h.User, &h.State, &h.AgeSeconds, &h.Query); err != nil {
			return err
		}
		d.Holders = append(d.Holders, h)
	}
	return rows.Err()
}

const webhookBacklogs = `
SELECT w.workspace, w.id, w.name, o.n, h.n, coalesce(extract(epoch FROM now() - e.recorded_at), 0), coalesce(l.owner::text, '')
FROM webhooks w
CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM deliveries WHERE webhook = w.number LIMIT $1) x) o
CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM deliveries WHERE webhook = w.number AND state <> 'ready' LIMIT $1) x) h
LEFT JOIN LATERAL (SELECT transaction_id, position FROM deliveries WHERE webhook = w.number ORDER BY transaction_id, position LIMIT 1) f ON true
LEFT JOIN events e ON e.transaction_id = f.transaction_id AND e.position = f.position
LEFT JOIN leases l ON l.webhook = w.number AND l.expires_at > now()
WHERE w.deleted_at IS NULL AND o.n > 0
ORDER BY o.n DESC, w.number LIMIT $2`

func (d *Diagnosis) lookAtWebhooks(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, webhookBacklogs, MaxCount, maxBacklogs)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var b WebhookBacklog
		if err := rows.Scan(&b.Workspace, &b.Webhook, &b.Name, &b.Open, &b.Held, &b.LagSeconds, &b.Owner); err != nil {
			return err
		}
		d.Webhooks = append(d.Webhooks, b)
	}
	return rows.Err()
}
